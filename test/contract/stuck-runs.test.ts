// Runs that cannot go on: how the engine parks them, also on a ledger that has lost them, and how the inbox shows them.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import { type CloseInput, closeRun, parkRun } from '../../activities/runs/close-run.ts';
import type { RunDeps } from '../../activities/runs/run-deps.ts';
import { runCli } from '../../client/cli/program.ts';
import { PawlClient } from '../../client/index.ts';
import { guarantee } from '../guarantee.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertEffect,
  insertRun,
  resultOf,
  TENANT,
} from './client-fixtures.ts';

let rows: ClientDatabase;
let database: Database;
let deps: RunDeps;
let client: PawlClient;

beforeAll(async () => {
  rows = await createClientDatabase();
  database = openDatabase({ url: rows.url });
  // Both activities touch nothing but the database.
  deps = { database } as RunDeps;
  client = await PawlClient.connect({ databaseUrl: rows.url, temporalAddress: '127.0.0.1:1' });
});
afterAll(async () => {
  await client.close();
  await database.close();
  await rows.drop();
});

const rolledBack = { type: 'Ledger.RolledBack', message: 'The ledger is older than this run' };
const park = (runKey: string, cause: typeof rolledBack | null): Promise<void> =>
  parkRun(deps, { v: 1, tenant: TENANT, runKey, cause });
const close = (runKey: string, kind: string): Promise<unknown> =>
  closeRun(deps, { v: 1, tenant: TENANT, runKey, result: resultOf(kind) } as unknown as CloseInput);
const stuckOf = async (runKey: string) =>
  (await client.stuckRuns()).find((run) => run.runKey === runKey);

describe('a run that is parked', () => {
  it('with a cause → among the stuck runs, with what to do; cleared → no longer', async () => {
    const runKey = await insertRun(rows);
    const cause = { type: 'Model.Authentication', message: '401' };
    await park(runKey, cause);
    expect(await stuckOf(runKey)).toMatchObject({
      agent: 'payouts',
      ...cause,
      stuckAt: expect.any(Date),
      advice: expect.stringContaining(`pawl resume ${runKey}`),
    });
    await park(runKey, null);
    expect(await stuckOf(runKey)).toBeUndefined();
  });

  guarantee(
    ['law-12-rolled-back', 'stuck-visible'],
    'that the ledger has lost → visible in list, show and inbox all the same; a cancel can end it',
    async () => {
      const runKey = 'run_01LOSTLOSTLOSTLOSTLOSTLOST';
      await park(runKey, rolledBack);
      expect(await stuckOf(runKey)).toMatchObject({ agent: '(lost)', ...rolledBack });
      expect((await client.show(runKey)).run).toMatchObject({ status: 'stuck', turn: 0 });
      await close(runKey, 'cancelled');
      expect((await client.show(runKey)).run.status).toBe('cancelled');
      expect(await stuckOf(runKey)).toBeUndefined();
    },
  );

  it('to clear a run that the ledger does not hold → no row', async () => {
    await park('run_01GONEGONEGONEGONEGONEGONE', null);
    const found = await rows.query(`select 1 from pawl.runs where run_key like 'run_01GONE%'`);
    expect(found).toEqual([]);
  });
});

describe('a run that ends', () => {
  guarantee(
    'law-12-rolled-back',
    'on a ledger that lacks its last answer, or the run → Ledger.RolledBack, and nothing is stored',
    async () => {
      const older = await insertRun(rows, { turn: 1 });
      for (const runKey of [older, 'run_01NONENONENONENONENONENONE']) {
        await expect(close(runKey, 'completed')).rejects.toMatchObject({
          type: 'Ledger.RolledBack',
          nonRetryable: true,
        });
      }
      expect((await client.show(older)).run).toMatchObject({ isFinished: false, result: null });
    },
  );

  it('on a ledger that has all of it → stored', async () => {
    const runKey = await insertRun(rows, { turn: 2 });
    await close(runKey, 'completed');
    expect((await client.show(runKey)).run.status).toBe('completed');
  });

  it('as a fork that began at turn 3 and had no turn of its own → stored', async () => {
    const runKey = await insertRun(rows, { turn: 0 });
    await rows.query(`update pawl.runs set forked_from = '{"turn": 3}' where run_key = $1`, [
      runKey,
    ]);
    await close(runKey, 'deadline_passed');
    expect((await client.show(runKey)).run.status).toBe('deadline_passed');
  });
});

describe('pawl doubts', () => {
  const doubts = async (...argv: string[]): Promise<string> => {
    const io = createFakeIo({ env: { DATABASE_URL: rows.url } });
    expect(await runCli(['doubts', ...argv], io)).toBe(0);
    return io.stdout();
  };

  it('a doubt and a stuck run → one section each; one list of two kinds with --json', async () => {
    const runKey = await insertRun(rows);
    const { effect } = await insertEffect(rows, runKey, { status: 'in_doubt' });
    await park(runKey, rolledBack);
    const text = await doubts();
    expect(text).toMatch(new RegExp(`^doubt +${effect}`, 'm'));
    expect(text).toMatch(new RegExp(`\nStuck runs\n(?:.*\n)*stuck +${runKey}  payouts, turn 1\n`));
    expect(text).toMatch(/^do +Nothing more is sent\. Put the newer ledger back/m);
    const list = JSON.parse(await doubts('--json')) as unknown[];
    expect(list).toContainEqual(expect.objectContaining({ kind: 'effect', effect }));
    expect(list).toContainEqual(
      expect.objectContaining({ kind: 'run', runKey, type: 'Ledger.RolledBack' }),
    );
  });
});
