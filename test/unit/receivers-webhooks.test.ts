// The bank calls back over real sockets: what it says, how it signs, and that it says it until it is heard.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { startBank } from '../../devstack/receivers/bank.ts';
import type { Bank } from '../../devstack/receivers/bank.ts';
import { connectReceiver } from '../../devstack/receivers/receiver-client.ts';
import { readReceipts } from '../../devstack/receivers/receipts-log.ts';
import { createWebhookSecret } from '../../devstack/receivers/webhooks.ts';
import { createScratch, get, post, until } from './receivers-support.ts';
import type { Scratch } from './receivers-support.ts';

interface Heard {
  readonly id: string;
  readonly body: { type: string; transferId: string; status: string; idempotencyKey?: string };
}

let scratch: Scratch;
let bank: Bank;
let heard: Heard[];
/** The statuses to come; 202 when there are none. */
let answers: number[];
let url: string;
const secret = createWebhookSecret();

beforeEach(async () => {
  scratch = createScratch();
  heard = [];
  answers = [];
  const server = createServer((message, response) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      try {
        const headers = message.headers as Record<string, string>;
        const body = new Webhook(secret).verify(text, headers) as Heard['body'];
        const status = answers.shift() ?? 202;
        heard.push({ id: String(message.headers['webhook-id']), body });
        response.writeHead(status, { location: '/elsewhere' }).end();
      } catch {
        response.writeHead(401).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scratch.closing({
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  bank = scratch.closing(await startBank({ logFile: scratch.logFile() }));
});
afterEach(() => scratch.cleanUp());

describe('a pending transfer', () => {
  it('done → one message, signed, with key and transfer; the log has acceptance and receipt', async () => {
    bank.sendWebhooksTo({ url, secret });
    bank.setMode('INV-1', 'pending');
    const { transferId } = (await post(bank.url, { key: 'k1' })).body;
    expect(bank.settlePending('INV-1')).toBe(1);
    await until(() => heard.length === 1);
    expect(heard[0]?.body).toEqual({
      ...{ type: 'transfer.applied', transferId, reference: 'INV-1', status: 'applied' },
      idempotencyKey: 'k1',
    });
    const { receipts, acceptances } = readReceipts(bank.logFile);
    expect([...acceptances, ...receipts].map((line) => line.receiptId)).toEqual([
      transferId,
      transferId,
    ]);
  });

  it('given up → transfer.rejected with a code, no receipt, also after a restart', async () => {
    bank.sendWebhooksTo({ url, secret });
    bank.setMode('INV-1', 'pending');
    await post(bank.url);
    expect(bank.rejectPending('INV-1')).toBe(1);
    expect(bank.settlePending('INV-1')).toBe(0);
    await until(() => heard.length === 1);
    expect(heard[0]?.body).toMatchObject({
      type: 'transfer.rejected',
      error: { code: 'account_closed' },
    });
    await bank.close();
    const again = scratch.closing(await startBank({ logFile: bank.logFile }));
    expect(again.receipts()).toEqual([]);
    expect((await get(again.url, '/transfers?reference=INV-1')).body[0].status).toBe('rejected');
  });

  it('nobody listens, then 503, a redirect, at last 202 → the same message each time, heard once', async () => {
    bank.setMode('INV-1', 'pending');
    await post(bank.url);
    answers = [503, 302];
    bank.sendWebhooksTo({ url: 'http://127.0.0.1:1/', secret });
    bank.settlePending('INV-1');
    await until(() => bank.webhookDeliveries().length === 1);
    bank.sendWebhooksTo({ url, secret });
    await until(() => bank.webhookDeliveries().some(({ status }) => status === 202));
    const statuses = bank.webhookDeliveries().map(({ status }) => status);
    expect(statuses.filter((status) => status !== null)).toEqual([503, 302, 202]);
    expect(new Set(heard.map(({ id }) => id)).size).toBe(1);
  });

  it('early → it is done and said before the 202; none → never said', async () => {
    bank.sendWebhooksTo({ url, secret });
    bank.setMode('INV-1', 'pending', { webhook: 'early' });
    const sent = await post(bank.url);
    expect(sent.status).toBe(202);
    expect(heard).toHaveLength(1);
    expect(bank.receipts()).toHaveLength(1);
    bank.setMode('INV-2', 'pending', { webhook: 'none' });
    await post(bank.url, {
      body: { reference: 'INV-2', payee: 'A', amountMinor: 1, currency: 'EUR' },
    });
    bank.settlePending('INV-2');
    expect(await bank.announce('INV-1', { copies: 2, id: 'm' })).toEqual([202, 202]);
    expect(heard.map(({ body }) => body.status)).toEqual(['applied', 'applied', 'applied']);
  });

  it('by hand: forged, too old → sent as told, and refused by the reference implementation', async () => {
    bank.sendWebhooksTo({ url, secret });
    bank.setMode('INV-1', 'pending');
    await post(bank.url);
    expect(await bank.announce('INV-1', { secret: createWebhookSecret() })).toEqual([401]);
    expect(await bank.announce('INV-1', { ageMs: 400_000 })).toEqual([401]);
    expect(await bank.announce('INV-1', { status: 'applied' })).toEqual([202]);
    expect(await bank.announce('INV-0')).toEqual([]);
  });

  it('over the admin routes → the same', async () => {
    const remote = connectReceiver(bank.url);
    await remote.sendWebhooksTo({ url, secret });
    bank.setMode('INV-1', 'pending');
    await post(bank.url);
    expect(await remote.rejectPending('INV-1')).toBe(1);
    await until(() => heard.length === 1);
  });
});
