// Every fault mode over the wire: what the client sees, what the receipts log says, what the next
// send meets.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startBank } from '../../devstack/receivers/bank.ts';
import type { Bank } from '../../devstack/receivers/bank.ts';
import { startMailbox } from '../../devstack/receivers/mailbox.ts';
import type { ModeKind } from '../../devstack/receivers/modes.ts';
import { connectReceiver } from '../../devstack/receivers/receiver-client.ts';
import { createScratch, get, invoice, post, until, wireError } from './receivers-support.ts';
import type { Scratch } from './receivers-support.ts';

let scratch: Scratch;
let bank: Bank;
beforeEach(async () => {
  scratch = createScratch();
  bank = scratch.closing(await startBank({ logFile: scratch.logFile() }));
});
afterEach(() => scratch.cleanUp());

// JSON of any shape: each test looks at its own fields.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
const lookUp = async (): Promise<any[]> => (await get(bank.url, '/transfers?reference=INV-1')).body;

/** Longer than every test: only the end of the bank ends it. */
const NEVER_MS = 600_000;

/** Sends, waits until the condition holds, looks around, goes away, and says how the wait ended. */
async function sendAndLeave(
  condition: () => boolean,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<string> {
  const leaving = new AbortController();
  const sent = wireError(post(bank.url, { key: 'k1', signal: leaving.signal }));
  await until(condition);
  await meanwhile();
  leaving.abort();
  return sent;
}

/** From the arrival of the first request to the first receipt, by the bank's own log. */
function tookMs(): number {
  return (bank.receipts()[0]?.atMs ?? NaN) - (bank.requests()[0]?.atMs ?? NaN);
}

/** A transfer that is pending for so long, and a bank that goes on with its log. */
async function acceptAndRestart(delayMs: number): Promise<void> {
  bank.setMode('INV-1', 'pending', { delayMs });
  await post(bank.url, { key: 'k1' });
  await bank.close();
  const { logFile } = bank;
  bank = scratch.closing(await startBank({ logFile }));
}

describe('modes of the bank', () => {
  it('slow → committed at once, without an answer; the key is in flight until then', async () => {
    bank.setMode('INV-1', 'slow', { delayMs: NEVER_MS, times: 1 });
    const isDone = (): boolean => bank.receipts().length === 1;
    const end = await sendAndLeave(isDone, async () =>
      expect(await post(bank.url, { key: 'k1' })).toMatchObject({
        status: 409,
        body: { error: { code: 'key_in_flight' } },
      }),
    );
    expect(end).toBe('AbortError');
    expect(bank.receipts()).toHaveLength(1);
  });

  it('slow → answered when its time has come, and from then on again', async () => {
    bank.setMode('INV-1', 'slow', { delayMs: 300, times: 1 });
    const startedAtMs = Date.now();
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
    expect(Date.now() - startedAtMs).toBeGreaterThanOrEqual(299);
    expect((await post(bank.url, { key: 'k1' })).headers.get('idempotent-replayed')).toBe('true');
    expect(bank.receipts()).toHaveLength(1);
  });

  it('late-commit → a look-up meanwhile finds nothing, and there is no answer', async () => {
    bank.setMode('INV-1', 'late-commit', { delayMs: NEVER_MS });
    const hasArrived = (): boolean => bank.requests().length === 1;
    const end = await sendAndLeave(hasArrived, async () => expect(await lookUp()).toEqual([]));
    expect(end).toBe('AbortError');
    expect(bank.receipts()).toEqual([]);
  });

  it('late-commit → the transfer is there when its time has come', async () => {
    bank.setMode('INV-1', 'late-commit', { delayMs: 200 });
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
    expect(await lookUp()).toHaveLength(1);
    expect(tookMs()).toBeGreaterThanOrEqual(199);
  });

  it('late-commit, and the client has gone → the transfer happens all the same', async () => {
    bank.setMode('INV-1', 'late-commit', { delayMs: 300 });
    expect(await sendAndLeave(() => bank.requests().length === 1)).toBe('AbortError');
    await until(() => bank.receipts().length === 1);
    expect(tookMs()).toBeGreaterThanOrEqual(299);
  });

  it('reject-before-commit → 400 card_declined, not executed, not remembered', async () => {
    bank.setMode('INV-1', 'reject-before-commit', { times: 1 });
    expect(await post(bank.url, { key: 'k1' })).toMatchObject({
      status: 400,
      body: { error: { code: 'card_declined', executed: false } },
    });
    expect(bank.receipts()).toEqual([]);
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
  });

  it('reject-before-commit on a key that was executed → the stored answer: the bank does not lie', async () => {
    await post(bank.url, { key: 'k1' });
    bank.setMode('INV-1', 'reject-before-commit');
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
  });

  it('500-before → 500, nothing done; the same key goes through next time', async () => {
    bank.setMode('INV-1', '500-before', { times: 1 });
    expect((await post(bank.url, { key: 'k1' })).status).toBe(500);
    expect(bank.receipts()).toEqual([]);
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
  });

  it('500-after → done, and the same 500 for this key for ever', async () => {
    bank.setMode('INV-1', '500-after', { times: 1 });
    const first = await post(bank.url, { key: 'k1' });
    const again = await post(bank.url, { key: 'k1' });
    expect([first.status, again.status]).toEqual([500, 500]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(bank.receipts()).toHaveLength(1);
    expect(await lookUp()).toHaveLength(1);
  });

  it('commit-then-hang → done, no answer; the resend with the same key gets the stored answer', async () => {
    bank.setMode('INV-1', 'commit-then-hang', { times: 1 });
    expect(await sendAndLeave(() => bank.receipts().length === 1)).toBe('AbortError');
    const again = await post(bank.url, { key: 'k1' });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.status).toBe(201);
    expect(bank.receipts()).toHaveLength(1);
  });

  it('commit-then-hang without `times` → the replay hangs too, still one receipt', async () => {
    bank.setMode('INV-1', 'commit-then-hang');
    await sendAndLeave(() => bank.receipts().length === 1);
    expect(await sendAndLeave(() => bank.requests().length === 2)).toBe('AbortError');
    expect(bank.receipts()).toHaveLength(1);
  });

  it('hang-before-commit → no answer, nothing done; the resend goes through', async () => {
    bank.setMode('INV-1', 'hang-before-commit', { times: 1 });
    expect(await sendAndLeave(() => bank.requests().length === 1)).toBe('AbortError');
    expect(bank.receipts()).toEqual([]);
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
    expect(bank.receipts()).toHaveLength(1);
  });

  it('commit-then-reset → ECONNRESET, done once', async () => {
    bank.setMode('INV-1', 'commit-then-reset', { times: 1 });
    expect(await wireError(post(bank.url, { key: 'k1' }))).toBe('ECONNRESET');
    expect(bank.receipts()).toHaveLength(1);
    expect((await post(bank.url, { key: 'k1' })).headers.get('idempotent-replayed')).toBe('true');
    expect(bank.receipts()).toHaveLength(1);
  });

  it('reset-mid-body → the status arrives, the body ends in the middle, done once', async () => {
    bank.setMode('INV-1', 'reset-mid-body', { times: 1 });
    const init = {
      method: 'POST',
      body: JSON.stringify(invoice),
      headers: { 'idempotency-key': 'k1' },
    };
    const response = await fetch(`${bank.url}/transfers`, init);
    expect(response.status).toBe(201);
    await expect(response.text()).rejects.toThrow('terminated');
    expect(bank.receipts()).toHaveLength(1);
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
    expect(bank.receipts()).toHaveLength(1);
  });

  it('409-in-flight three times → 409, 409, 409, then done', async () => {
    bank.setMode('INV-1', '409-in-flight', { times: 3 });
    const statuses = [];
    for (let n = 0; n < 4; n++) statuses.push((await post(bank.url, { key: 'k1' })).status);
    expect(statuses).toEqual([409, 409, 409, 201]);
    expect(bank.receipts()).toHaveLength(1);
  });

  it('429 → retry-after, documented as not executed, then done', async () => {
    bank.setMode('INV-1', '429', { times: 1, retryAfterSeconds: 7 });
    const limited = await post(bank.url, { key: 'k1' });
    expect(limited).toMatchObject({ status: 429, body: { error: { executed: false } } });
    expect(limited.headers.get('retry-after')).toBe('7');
    expect(bank.receipts()).toEqual([]);
    expect((await post(bank.url, { key: 'k1' })).status).toBe(201);
  });

  it('no-idempotency → each send is done, the log still shows the key', async () => {
    bank.setMode('INV-1', 'no-idempotency');
    await post(bank.url, { key: 'k1' });
    await post(bank.url, { key: 'k1' });
    expect(bank.receipts({ idempotencyKey: 'k1' })).toHaveLength(2);
  });

  it('key-expiry → a younger key is honoured, an older one is forgotten and a new transfer made', async () => {
    await post(bank.url, { key: 'k1' });
    bank.setMode('INV-1', 'key-expiry', { maxAgeMs: 60_000, times: 1 });
    expect((await post(bank.url, { key: 'k1' })).headers.get('idempotent-replayed')).toBe('true');
    bank.setMode('INV-1', 'key-expiry', { maxAgeMs: 0, times: 1 });
    expect((await post(bank.url, { key: 'k1' })).headers.get('idempotent-replayed')).toBeNull();
    expect(bank.receipts()).toHaveLength(2);
    expect((await post(bank.url, { key: 'k1' })).headers.get('idempotent-replayed')).toBe('true');
  });

  it('pending → 202 and no receipt; settled by hand → one receipt under the same id', async () => {
    bank.setMode('INV-1', 'pending', { times: 1 });
    const sent = await post(bank.url, { key: 'k1' });
    expect(sent).toMatchObject({ status: 202, body: { status: 'pending' } });
    expect(bank.receipts()).toEqual([]);
    expect((await lookUp())[0].status).toBe('pending');
    expect((await post(bank.url, { key: 'k1' })).body).toEqual(sent.body);
    expect(bank.settlePending('INV-1')).toBe(1);
    expect(bank.settlePending('INV-1')).toBe(0);
    expect(bank.receipts()).toMatchObject([
      { receiptId: sent.body.transferId, amountMinor: 2_000 },
    ]);
    expect((await lookUp())[0].status).toBe('applied');
  });

  it('pending with a delay, and a restart meanwhile → still pending', async () => {
    await acceptAndRestart(NEVER_MS);
    expect((await lookUp())[0].status).toBe('pending');
    expect(bank.receipts()).toEqual([]);
  });

  it('its time comes after the restart → settled by itself, once', async () => {
    await acceptAndRestart(150);
    await until(() => bank.receipts().length > 0);
    expect((await lookUp())[0].status).toBe('applied');
    expect(bank.receipts()).toHaveLength(1);
    expect(tookMs()).toBeGreaterThanOrEqual(149);
  });

  it('stale-lookup → a fresh transfer is not seen yet, an older one is', async () => {
    await post(bank.url, { key: 'k1' });
    bank.setMode({ reference: 'INV-1', method: 'GET' }, 'stale-lookup', {
      delayMs: 60_000,
      times: 1,
    });
    expect(await lookUp()).toEqual([]);
    expect(await lookUp()).toHaveLength(1);
  });

  it('a look-up that fails → 500 for the probe, while writes go on', async () => {
    bank.setMode({ path: '/transfers', method: 'GET' }, '500-before');
    expect((await post(bank.url)).status).toBe(201);
    expect((await get(bank.url, '/transfers?reference=INV-1')).status).toBe(500);
  });
});

describe('which mode a request meets', () => {
  const statusOf = async (reference: string): Promise<number> =>
    (await post(bank.url, { body: { ...invoice, reference } })).status;

  it('a reference beats a path, a path beats all; other references are untouched', async () => {
    bank.setMode('*', '429', { times: 1 });
    bank.setMode('/transfers', '500-before', { times: 1 });
    bank.setMode('INV-7', 'reject-before-commit', { times: 1 });
    expect(await statusOf('INV-7')).toBe(400);
    expect(await statusOf('INV-7')).toBe(500);
    expect(await statusOf('INV-8')).toBe(429);
    expect(await statusOf('INV-8')).toBe(201);
  });

  it('a reference → the write meets it, the look-up does not', async () => {
    bank.setMode('INV-1', '500-before');
    expect(await lookUp()).toEqual([]);
    expect(await statusOf('INV-1')).toBe(500);
  });

  it('a path with * → cancellations only', async () => {
    bank.setMode('/transfers/*/cancellations', '500-before');
    const { transferId } = (await post(bank.url)).body;
    const path = `/transfers/${transferId}/cancellations`;
    expect((await post(bank.url, { path, body: {} })).status).toBe(500);
  });

  it('setMode replaces, addMode queues, clearModes ends it', async () => {
    bank.setMode('INV-1', 'reject-before-commit');
    bank.setMode('INV-1', '500-before', { times: 1 });
    bank.addMode('INV-1', '429', { times: 1 });
    bank.addMode('INV-1', 'reject-before-commit');
    const statuses = [await statusOf('INV-1'), await statusOf('INV-1'), await statusOf('INV-1')];
    expect(statuses).toEqual([500, 429, 400]);
    bank.clearModes();
    expect(await statusOf('INV-1')).toBe(201);
  });

  it('a misspelt mode or option → an error that names it, and the old mode stays', () => {
    bank.setMode('INV-1', '429');
    expect(() => bank.setMode('INV-1', 'sloow' as ModeKind)).toThrow(/Not a mode[^]*mode/);
    expect(() => bank.setMode('INV-1', 'slow', { delay: 3 } as object)).toThrow(
      /Not a mode[^]*delay/,
    );
    expect(bank.listModes()).toEqual([{ match: 'INV-1', mode: '429' }]);
  });
});

describe('admin routes', () => {
  it('another process sets a mode → requests meet it; it is not logged as wire traffic', async () => {
    const remote = connectReceiver(bank.url);
    await remote.setMode('INV-1', '429', { times: 1, retryAfterSeconds: 3 });
    await remote.addMode('INV-1', 'pending', { times: 1 });
    expect(await remote.listModes()).toEqual(bank.listModes());
    expect((await post(bank.url)).status).toBe(429);
    expect((await post(bank.url)).status).toBe(202);
    expect(await remote.settlePending('INV-1')).toBe(1);
    expect(await remote.receipts()).toEqual(bank.receipts());
    expect(await remote.requests()).toEqual(bank.requests());
    expect(bank.requests()).toHaveLength(2);
    await remote.setMode('INV-1', '429');
    await remote.clearModes();
    expect(bank.listModes()).toEqual([]);
  });

  it('a mode that does not exist → the receiver’s own message', async () => {
    const remote = connectReceiver(bank.url);
    await expect(remote.setMode('INV-1', 'sloow' as ModeKind)).rejects.toThrow('Not a mode');
  });
});

describe('mailbox', () => {
  const path = '/messages';
  const body = { to: 'ada@example.com', subject: 'Paid INV-1', text: 'Done.' };

  it('a message sent twice with one key → two receipts: it knows neither keys nor a look-up', async () => {
    const mailbox = scratch.closing(await startMailbox({ logFile: scratch.logFile() }));
    const first = await post(mailbox.url, { path, body, key: 'k1' });
    const second = await post(mailbox.url, { path, body, key: 'k1' });
    expect(first).toMatchObject({
      status: 202,
      body: { messageId: expect.stringMatching(/^msg_/) },
    });
    expect(second.body.messageId).not.toBe(first.body.messageId);
    expect(mailbox.receipts({ reference: 'Paid INV-1' })).toMatchObject([
      { effect: 'message', details: body, idempotencyKey: 'k1' },
      { effect: 'message', details: body, idempotencyKey: 'k1' },
    ]);
    expect((await get(mailbox.url, path)).status).toBe(404);
  });

  it('commit-then-reset → ECONNRESET and one receipt, by the same machinery', async () => {
    const logFile = scratch.logFile();
    const modes = [{ match: 'Paid INV-1', mode: 'commit-then-reset' as const, times: 1 }];
    const mailbox = scratch.closing(await startMailbox({ logFile, modes }));
    expect(await wireError(post(mailbox.url, { path, body }))).toBe('ECONNRESET');
    expect(mailbox.receipts()).toHaveLength(1);
    expect((await post(mailbox.url, { path, body })).status).toBe(202);
    expect(mailbox.receipts()).toHaveLength(2);
  });

  it('a mode about keys → refused with the list of its modes', async () => {
    const mailbox = scratch.closing(await startMailbox({ logFile: scratch.logFile() }));
    expect(() => mailbox.setMode('*', 'key-expiry')).toThrow(
      'The mailbox has no mode "key-expiry". It has: ok,',
    );
  });

  it('a message without a subject → 400, documented as not executed', async () => {
    const mailbox = scratch.closing(await startMailbox({ logFile: scratch.logFile() }));
    const sent = await post(mailbox.url, { path, body: { to: 'a', text: 'b' } });
    expect(sent).toMatchObject({ status: 400, body: { error: { executed: false } } });
    expect(mailbox.receipts()).toEqual([]);
  });
});
