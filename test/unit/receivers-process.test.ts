// The receivers as processes of their own: start, SIGKILL, restart on the same log, SIGTERM, wrong
// arguments.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connectReceiver, spawnReceiver } from '../../devstack/receivers/receiver-client.ts';
import type {
  ReceiverProcess,
  ReceiverProcessOptions,
} from '../../devstack/receivers/receiver-client.ts';
import { readReceipts } from '../../devstack/receivers/receipts-log.ts';
import { createScratch, post, until, wireError } from './receivers-support.ts';
import type { Scratch } from './receivers-support.ts';

let scratch: Scratch;
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.cleanUp());

async function start(options: ReceiverProcessOptions): Promise<ReceiverProcess> {
  const started = await spawnReceiver(options);
  scratch.closing({ close: () => started.stop() });
  return started;
}

describe('receivers as processes', () => {
  it('the bank is killed between commit and answer, and starts again → its log has the receipt, the key replays', async () => {
    const logFile = scratch.logFile();
    const first = await start({ kind: 'bank', logFile });
    const port = Number(new URL(first.url).port);
    await connectReceiver(first.url).setMode('INV-1', 'commit-then-hang');
    const lost = wireError(post(first.url, { key: 'k1' }));
    await until(() => readReceipts(logFile).receipts.length === 1);
    await first.stop('SIGKILL');
    expect(await lost).toMatch(/UND_ERR_SOCKET|ECONNRESET/);
    const second = await start({ kind: 'bank', logFile, port, mismatchStatus: 409 });
    expect(second.url).toBe(first.url);
    const again = await post(second.url, { key: 'k1' });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(again.body.transferId).toBe(readReceipts(logFile).receipts[0]?.receiptId);
    expect((await post(second.url, { key: 'k1', body: { ...again.body } })).status).toBe(400);
    expect(readReceipts(logFile).receipts).toHaveLength(1);
  });

  it('the mailbox → takes a message and ends on SIGTERM, even with a hanging request', async () => {
    const logFile = scratch.logFile();
    const mailbox = await start({ kind: 'mailbox', logFile });
    await connectReceiver(mailbox.url).setMode('*', 'commit-then-hang');
    const body = { to: 'a', subject: 's', text: 't' };
    const hanging = wireError(post(mailbox.url, { path: '/messages', body }));
    await until(() => readReceipts(logFile).receipts.length === 1);
    await mailbox.stop();
    expect(await hanging).toMatch(/UND_ERR_SOCKET|ECONNRESET/);
  });

  it('the provider with a script module → answers from it', async () => {
    const scriptFile = scratch.logFile().replace(/jsonl$/, 'ts');
    writeFileSync(
      scriptFile,
      'export const script = (r: { model: string }) => ({ text: `I am ${r.model}` });\n',
    );
    const provider = await start({ kind: 'provider', scriptFile });
    const response = await fetch(`${provider.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer test' },
      body: JSON.stringify({ model: 'gpt-x', messages: [{ role: 'user', content: 'hi' }] }),
    });
    expect(await response.json()).toMatchObject({
      choices: [{ message: { content: 'I am gpt-x' } }],
    });
    const logged = (await (await fetch(`${provider.url}/_admin/requests`)).json()) as unknown[];
    expect(logged).toMatchObject([{ path: '/v1/chat/completions', status: 200 }]);
  });

  it('a port in use → the start is refused with the reason', async () => {
    const bank = await start({ kind: 'bank', logFile: scratch.logFile() });
    const port = Number(new URL(bank.url).port);
    await expect(
      spawnReceiver({ kind: 'mailbox', logFile: scratch.logFile(), port }),
    ).rejects.toThrow(
      `The mailbox did not start: The mailbox cannot listen on 127.0.0.1:${port}: the port is in use`,
    );
  });

  it('a script file that does not exist → the start is refused with its name', async () => {
    const scriptFile = scratch.logFile();
    await expect(spawnReceiver({ kind: 'provider', scriptFile })).rejects.toThrow(
      `The provider did not start: The script ${scriptFile} cannot be loaded`,
    );
  });

  it.each([
    [['bank'], '--log is missing.'],
    [['bnk'], 'There is no receiver "bnk".'],
    [['bank', '--log', 'x', '--port', 'many'], '--port many is not a port'],
    [['bank', '--lgo', 'x'], "Unknown option '--lgo'"],
  ])('arguments %j → exit 2, the reason and the usage, no stack', (args, reason) => {
    const main = new URL('../../devstack/receivers/main.ts', import.meta.url).pathname;
    const ended = spawnSync(process.execPath, ['--import', 'tsx', main, ...args], {
      encoding: 'utf8',
    });
    expect(ended.status).toBe(2);
    expect(ended.stderr).toContain(reason);
    expect(ended.stderr).toContain('Usage:');
    expect(ended.stderr).not.toMatch(/^ {4}at /m);
  });
});
