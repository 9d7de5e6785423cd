// `npm start -- --yes` as a new user runs it: judged by its exit code and by the bank's own log, not by what it prints.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readReceipts } from '../../devstack/receivers/index.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { until } from '../../testing/until.ts';
import { guarantee } from '../guarantee.ts';

const MAIN = new URL('../../devstack/demo/main.ts', import.meta.url).pathname;
const TIMEOUT_MS = 360_000;
const PAID = ['1001', '1002', '1003', '1004', '1005', '1006', '1009', '1010'];

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'pawl-start-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

interface Started {
  readonly pid: number;
  readonly exit: Promise<number | null>;
  output(): string;
}

function start(): Started {
  // Servers of its own: what the test run has in its environment is not for the new user.
  const { TEMPORAL_ADDRESS: _t, DATABASE_URL: _d, ...env } = process.env;
  const child = spawn(process.execPath, [...runtimeArguments(MAIN), MAIN, '--yes'], {
    env: { ...env, PAWL_DATA_DIR: dataDir, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const exit = once(child, 'exit').then(([code]: unknown[]) => code as number | null);
  return { pid: child.pid ?? 0, exit, output: () => output };
}

/** A start that does not end is shown as far as it came. */
async function expectSuccess(started: Started): Promise<void> {
  const tooLong = sleep(TIMEOUT_MS / 2, 'still running', { ref: false });
  const code = await Promise.race([started.exit, tooLong]);
  expect({ code, output: started.output() }).toMatchObject({ code: 0 });
}

const bankLog = (): ReturnType<typeof readReceipts> =>
  readReceipts(join(dataDir, 'payouts', 'bank-receipts.jsonl'));

function expectEachPaidOnce(): void {
  const references = bankLog().receipts.map(({ reference }) => reference);
  expect(references.sort()).toEqual(PAID.map((number) => `INV-${number}`));
}

describe('npm start', () => {
  guarantee(
    ['F-01', 'F-34', 'S2-07'],
    'the worker is killed after the bank has committed → sent again with the same bytes, one receipt, exit 0',
    async () => {
      const demo = start();
      await expectSuccess(demo);
      expect(demo.output()).toContain('is killed with SIGKILL');
      expectEachPaidOnce();
      const sends = bankLog().requests.filter(
        ({ method, body }) => method === 'POST' && body.includes('"INV-1002"'),
      );
      // Two, or more where a machine stood still: a key that the bank is still at work on is answered 409.
      expect(sends.length).toBeGreaterThanOrEqual(2);
      expect(sends[0]?.idempotencyKey).toMatch(/^[0-9a-f-]{36}$/);
      expect(new Set(sends.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
      expect(new Set(sends.map(({ body }) => body)).size).toBe(1);
    },
    TIMEOUT_MS,
  );

  it(
    'the whole start is killed in the middle → the next one takes the same run up and pays what is left',
    async () => {
      const first = start();
      // Before another worker is up: the payment under way is left to the next start.
      await until(() => first.output().includes('is killed with SIGKILL'), {
        timeoutMs: TIMEOUT_MS,
      });
      process.kill(first.pid, 'SIGKILL');
      await first.exit;
      const runKey = /run_[0-9A-Z]{26}/.exec(first.output())?.[0];
      const second = start();
      await expectSuccess(second);
      expect(second.output()).toContain(`${runKey} was left unfinished: it goes on`);
      expectEachPaidOnce();
    },
    TIMEOUT_MS,
  );

  it(
    'a second start beside a running one → a clear error that names the process',
    async () => {
      const first = start();
      await until(() => first.output().includes('temporal:'), { timeoutMs: TIMEOUT_MS });
      const second = start();
      expect(await second.exit).toBe(1);
      expect(second.output()).toContain(`is held by process ${first.pid}`);
      expect(second.output()).not.toContain('    at ');
      process.kill(first.pid, 'SIGTERM');
      await first.exit;
      expect(() => readFileSync(join(dataDir, 'stack.json'))).toThrow('ENOENT');
    },
    TIMEOUT_MS,
  );
});
