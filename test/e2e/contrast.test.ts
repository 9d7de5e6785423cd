// `npm run contrast` in short: what is naive has to fail, or the comparison proves nothing.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { guarantee } from '../guarantee.ts';

const MAIN = new URL('../../devstack/contrast/main.ts', import.meta.url).pathname;
const PATIENCE_MS = 480_000;
const run = promisify(execFile);

/** What the command prints with `--json`; rejects when it ends with another code than 0. */
async function contrast<T>(...argv: string[]): Promise<T> {
  const { TEMPORAL_ADDRESS: _t, DATABASE_URL: _d, ...env } = process.env;
  const options = { env: { ...env, NODE_OPTIONS: '' }, timeout: PATIENCE_MS };
  const node = [...runtimeArguments(MAIN), MAIN, ...argv, '--json'];
  const { stdout } = await run(process.execPath, node, options);
  return JSON.parse(stdout) as T;
}

interface Compared {
  readonly systems: readonly { readonly name: string; readonly duplicates: number }[];
}

interface Locks {
  readonly runs: readonly { readonly name: string; readonly receipts: number }[];
}

describe('npm run contrast', () => {
  let compared: Promise<Compared>;
  let locks: Promise<Locks>;
  // They mostly wait: side by side they take as long as the longer one.
  beforeAll(() => {
    const systems = 'request-response,plain,with-effect';
    compared = contrast('--runs', '2', '--seed', '1', '--systems', systems);
    locks = contrast('lock');
    // The test that awaits it reports the failure.
    locks.catch(() => undefined);
  });

  guarantee(
    ['S2-21', 'S2-19', 'F-08'],
    'two batches under kills, resets and lost answers → duplicates on each naive system, none with effect()',
    async () => {
      const { systems } = await compared;
      const [requestResponse, plain, withEffect] = systems;
      expect(requestResponse?.duplicates).toBeGreaterThan(0);
      expect(plain?.duplicates).toBeGreaterThan(0);
      expect(withEffect).toMatchObject({
        ...{ name: 'with-effect', runs: 2, completed: 2, invoices: 10, receipts: 10 },
        ...{ duplicates: 0, lost: 0, silentDoubts: 0 },
        ...{ strayReceipts: 0, wrongReceipts: 0, wrongRuns: 0 },
      });
    },
    PATIENCE_MS,
  );

  guarantee(
    ['F-33', 'S3-37'],
    'the holder of a task is frozen past the TTL of its lock → two receipts with the lock, one with effect()',
    async () => {
      const { runs } = await locks;
      expect(runs).toMatchObject([
        { name: 'with-ttl', receipts: 2 },
        { name: 'with-effect', receipts: 1, sends: 1 },
      ]);
    },
    PATIENCE_MS,
  );
});

// Eight worker processes for what examples/money-transfer/transfer.test.ts shows in one: only when asked for.
const isLong = process.env['CONTRAST'] === 'long';
(isLong ? describe : describe.skip)('npm run contrast, the long form', () => {
  it(
    'the documentation’s money transfer → plain withdraws twice where keys are ignored, effect() never',
    async () => {
      const { runs } = await contrast<{ runs: readonly unknown[] }>('money-transfer');
      expect(runs).toMatchObject([
        { version: 'plain', banks: 'honour keys', withdrawals: 1 },
        { version: 'plain', banks: 'ignore keys', withdrawals: 2 },
        { version: 'with-effect', banks: 'honour keys', withdrawals: 1, deposits: 1 },
        { version: 'with-effect', banks: 'ignore keys', withdrawals: 1, deposits: 1 },
      ]);
    },
    PATIENCE_MS,
  );
});
