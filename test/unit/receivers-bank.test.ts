// The bank over real sockets: its API, its keys, its restart from the log.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { startBank } from '../../devstack/receivers/bank.ts';
import type { Bank, BankOptions } from '../../devstack/receivers/bank.ts';
import { readReceipts } from '../../devstack/receivers/receipts-log.ts';
import { createScratch, get, invoice, post, until } from './receivers-support.ts';
import type { Scratch } from './receivers-support.ts';

let scratch: Scratch;
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.cleanUp());

async function open(options: Partial<BankOptions> = {}): Promise<Bank> {
  return scratch.closing(await startBank({ logFile: scratch.logFile(), ...options }));
}

describe('bank API', () => {
  it('a transfer → 201, one receipt with reference, amount and key, one request as it was sent', async () => {
    const bank = await open();
    const sent = await post(bank.url, { key: 'k1' });
    expect(sent.status).toBe(201);
    expect(sent.body).toEqual({
      transferId: expect.stringMatching(/^tr_/),
      reference: 'INV-1',
      status: 'applied',
    });
    const { requests, receipts } = readReceipts(bank.logFile);
    const body = JSON.stringify(invoice);
    expect(requests).toEqual([
      expect.objectContaining({
        ...{ seq: 1, method: 'POST', path: '/transfers', idempotencyKey: 'k1', body },
        bodySha256: createHash('sha256').update(body).digest('hex'),
        headers: expect.objectContaining({ 'idempotency-key': 'k1' }),
      }),
    ]);
    expect(receipts).toEqual([
      expect.objectContaining({
        ...{ effect: 'transfer', receiptId: sent.body.transferId, reference: 'INV-1' },
        ...{ amountMinor: 2_000, currency: 'EUR', idempotencyKey: 'k1', requestSeq: 1 },
      }),
    ]);
    expect(bank.receipts()).toEqual(receipts);
    expect(bank.requests()).toEqual(requests);
  });

  it('a look-up by reference → the transfers of it; an unknown reference → an empty list', async () => {
    const bank = await open();
    const { transferId } = (await post(bank.url)).body;
    const found = await get(bank.url, '/transfers?reference=INV-1');
    expect(found.body).toEqual([{ transferId, ...invoice, status: 'applied' }]);
    expect(await get(bank.url, '/transfers?reference=INV-2')).toMatchObject({
      status: 200,
      body: [],
    });
    expect((await get(bank.url, `/transfers/${transferId}`)).body).toEqual(found.body[0]);
    expect((await get(bank.url, '/receipts')).body).toEqual(bank.receipts());
  });

  it('the same transfer under two keys → two receipts: the bank does not deduplicate by reference', async () => {
    const bank = await open();
    await post(bank.url, { key: 'k1' });
    await post(bank.url, { key: 'k2' });
    expect(bank.receipts({ reference: 'INV-1' })).toHaveLength(2);
  });

  it('a cancellation, twice with one key → one receipt; with another key → 400 not_cancellable', async () => {
    const bank = await open();
    const { transferId } = (await post(bank.url)).body;
    const path = `/transfers/${transferId}/cancellations`;
    const first = await post(bank.url, { path, key: 'c1', body: {} });
    const again = await post(bank.url, { path, key: 'c1', body: {} });
    expect(first).toMatchObject({ status: 201, body: { transferId, status: 'cancelled' } });
    expect(again.body).toEqual(first.body);
    expect(bank.receipts({ effect: 'cancellation' })).toHaveLength(1);
    const other = await post(bank.url, { path, key: 'c2', body: {} });
    expect(other).toMatchObject({
      status: 400,
      body: { error: { code: 'not_cancellable', executed: false } },
    });
    const [transfer] = (await get(bank.url, '/transfers?reference=INV-1')).body;
    expect(transfer.status).toBe('cancelled');
  });

  it.each([
    ['a missing field', { ...invoice, payee: undefined }, 'invalid_request'],
    ['an unknown field', { ...invoice, extra: 1 }, 'invalid_request'],
    ['a fraction of a cent', { ...invoice, amountMinor: 1.5 }, 'invalid_request'],
    ['a body that is not JSON', '{', 'invalid_json'],
  ])('%s → 400, documented as not executed', async (_, body, code) => {
    const bank = await open();
    const sent = await post(bank.url, { body, key: 'k1' });
    expect(sent).toMatchObject({ status: 400, body: { error: { code, executed: false } } });
    expect(bank.receipts()).toEqual([]);
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
  });

  it('an unknown transfer, an unknown route, a look-up without reference → errors that name them', async () => {
    const bank = await open();
    expect(await post(bank.url, { path: '/transfers/tr_0/cancellations' })).toMatchObject({
      status: 404,
      body: { error: { code: 'no_such_transfer', message: 'There is no transfer tr_0.' } },
    });
    expect((await get(bank.url, '/nothing')).body.error.message).toBe(
      'The bank has no GET /nothing.',
    );
    expect((await get(bank.url, '/transfers')).body.error.code).toBe('reference_missing');
  });

  it('credentials in headers → a hash in the log, two credentials told apart', async () => {
    const bank = await open();
    for (const token of ['secret-1', 'secret-2']) {
      await fetch(`${bank.url}/receipts`, { headers: { authorization: `Bearer ${token}` } });
    }
    const [one, two] = bank.requests().map(({ headers }) => headers.authorization);
    expect(one).toMatch(/^redacted:[0-9a-f]{8}$/);
    expect(one).not.toBe(two);
  });

  it('a sender dies in the middle of its body → logged as incomplete, nothing executed', async () => {
    const bank = await open();
    const socket = connect(Number(new URL(bank.url).port), '127.0.0.1');
    const head = 'POST /transfers HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n{"reference":';
    socket.write(head, () => socket.destroy());
    await until(() => bank.requests().length === 1);
    expect(bank.requests()[0]).toMatchObject({ complete: false });
    expect(bank.receipts()).toEqual([]);
  });
});

describe('bank keys', () => {
  it('the same key and body → the stored answer, marked as replayed, and one receipt', async () => {
    const bank = await open();
    const first = await post(bank.url, { key: 'k1' });
    const again = await post(bank.url, { key: 'k1' });
    expect(again.body).toEqual(first.body);
    expect(again.status).toBe(201);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(bank.receipts()).toHaveLength(1);
  });

  it('a quoted structured-field key → the same key as the bare token', async () => {
    const bank = await open();
    await post(bank.url, { key: '"k1"' });
    await post(bank.url, { key: 'k1' });
    expect(bank.receipts()).toHaveLength(1);
  });

  it.each([[undefined, 422] as const, [409, 409] as const])(
    'the same key with another body, mismatchStatus %s → %s key_reused',
    async (mismatchStatus, status) => {
      const bank = await open(mismatchStatus ? { mismatchStatus } : {});
      await post(bank.url, { key: 'k1' });
      const other = await post(bank.url, { key: 'k1', body: { ...invoice, amountMinor: 1 } });
      expect(other).toMatchObject({ status, body: { error: { code: 'key_reused' } } });
      expect(bank.receipts()).toHaveLength(1);
    },
  );

  it('twenty concurrent sends with one key → one receipt; the others a 409 or the replay', async () => {
    const bank = await open();
    const all = await Promise.all(Array.from({ length: 20 }, () => post(bank.url, { key: 'k1' })));
    expect(bank.receipts()).toHaveLength(1);
    const created = all.filter(
      (sent) => sent.status === 201 && !sent.headers.get('idempotent-replayed'),
    );
    expect(created).toHaveLength(1);
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([201, 409]));
  });

  it('the bank starts anew on its log → it knows its transfers, keys and sticky errors', async () => {
    const first = await open();
    first.setMode('INV-2', '500-after');
    const original = await post(first.url, { key: 'k1' });
    await post(first.url, { key: 'k2', body: { ...invoice, reference: 'INV-2' } });
    await first.close();
    const second = await open({ logFile: first.logFile });
    expect((await post(second.url, { key: 'k1' })).body).toEqual(original.body);
    const sticky = await post(second.url, { key: 'k2', body: { ...invoice, reference: 'INV-2' } });
    expect(sticky.status).toBe(500);
    const reused = await post(second.url, { key: 'k1', body: { ...invoice, amountMinor: 1 } });
    expect(reused.status).toBe(422);
    expect((await get(second.url, '/transfers?reference=INV-1')).body).toHaveLength(1);
    expect(second.receipts()).toHaveLength(2);
    expect(second.requests().map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('a port in use → an error that names it', async () => {
    const bank = await open();
    const port = Number(new URL(bank.url).port);
    await expect(startBank({ logFile: scratch.logFile(), port })).rejects.toThrow(
      `The bank cannot listen on 127.0.0.1:${port}: the port is in use`,
    );
  });
});
