// What the client says when a server is missing, not migrated or out of reach.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCli } from '../../client/cli/program.ts';
import { PawlClient } from '../../client/index.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  testTemporalAddress,
} from '../../devstack/test-database.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertApproval,
  insertEffect,
  insertRun,
  insertWorker,
  resultOf,
} from './client-fixtures.ts';

let database: ClientDatabase;

beforeAll(async () => {
  database = await createClientDatabase();
  await insertWorker(database);
});
afterAll(() => database.drop());

async function pawl(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { DATABASE_URL: database.url, TEMPORAL_ADDRESS: testTemporalAddress() };
  const io = createFakeIo({ env });
  const code = await runCli(argv, io);
  return { code, out: io.stdout(), err: io.stderr() };
}

describe('databases that will not do', () => {
  it('not migrated → Database.NotMigrated with its address and the next step', async () => {
    const empty = await createTestDatabase();
    try {
      await expect(PawlClient.connect({ databaseUrl: empty.url })).rejects.toMatchObject({
        code: 'Database.NotMigrated',
        exitCode: 3,
        message: expect.stringMatching(new RegExp(`/${empty.name} does not have.*pawl dev`)),
      });
    } finally {
      await dropTestDatabase(empty);
    }
  });

  it('no such database → Database.NotMigrated that says it does not exist', async () => {
    const url = new URL(database.url);
    url.pathname = '/missing_one';
    await expect(PawlClient.connect({ databaseUrl: url.href })).rejects.toMatchObject({
      code: 'Database.NotMigrated',
      message: expect.stringContaining('"missing_one" does not exist'),
    });
  });
});

describe('under the role pawl_service', () => {
  it('all that people ask for → allowed; an effect → cannot be changed', async () => {
    const url = new URL(database.url);
    url.searchParams.set('options', '-c role=pawl_service');
    const client = await PawlClient.connect({
      databaseUrl: url.href,
      temporalAddress: testTemporalAddress(),
      requester: 'olga',
    });
    try {
      const { runKey } = await client.start('payouts', { file: 'a' }, { requester: 'dev' });
      const effect = await insertEffect(database, runKey);
      await client.approve(await insertApproval(database, runKey, effect));
      const doubt = await insertEffect(database, runKey, { call: '1', status: 'in_doubt' });
      await client.settle(doubt.effect, { outcome: 'applied', evidence: 'x' });
      await client.steer(runKey, 'hello');
      await client.pause(runKey);
      await client.resume(runKey);
      await client.cancel(runKey);
      await client.show(runKey, { transcript: true });
      await client.why(doubt.effect);
      await client.tools();
      const { checks } = await client.doctor();
      expect(
        checks.filter(({ name }) => ['database', 'schema', 'workers'].includes(name)),
      ).toMatchObject([{ status: 'pass' }, { status: 'pass' }, { status: 'pass' }]);
    } finally {
      await client.close();
    }
  });
});

describe('the command line on real servers', () => {
  it('run --detach, then list --json → the run', async () => {
    const started = await pawl('run', 'payouts', '--input', '{"file":"a"}', '--detach', '--json');
    expect(started.code).toBe(0);
    const { runKey } = JSON.parse(started.out) as { runKey: string };
    const { out } = await pawl('list', '--json', '--limit', '1');
    expect(JSON.parse(out)).toMatchObject([{ runKey, status: 'starting' }]);
  });

  it('watch of a run that ended otherwise → exit 4, JSON lines', async () => {
    const runKey = await insertRun(database, {
      result: resultOf('blocked', '5 calls were denied'),
    });
    const { code, out } = await pawl('watch', runKey, '--json');
    expect(code).toBe(4);
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string });
    expect(events.at(-1)).toMatchObject({ kind: 'finished', result: { kind: 'blocked' } });
  });

  it('watch of a completed run → exit 0 and the output', async () => {
    const runKey = await insertRun(database, { result: resultOf('completed'), output: 'all paid' });
    const { code, out } = await pawl('watch', runKey);
    expect(code).toBe(0);
    expect(out).toMatch(/result\s+completed/);
    expect(out).toMatch(/output\s+all paid/);
  });

  it('Ctrl-C while watching → exit 130, the run goes on, and how to come back', async () => {
    const runKey = await insertRun(database);
    const io = createFakeIo({ env: { DATABASE_URL: database.url } });
    const watching = runCli(['watch', runKey], { ...io, out: () => io.interrupt() });
    expect(await watching).toBe(130);
    expect(io.stderr()).toContain(
      `Detached: the run goes on. Come back with: pawl watch ${runKey}`,
    );
    expect(
      await database.query('select cancelled_at from pawl.controls where run_key = $1', [runKey]),
    ).toEqual([{ cancelled_at: null }]);
  });

  it('approve without a terminal and without an id → exit 2, says how', async () => {
    const { code, err } = await pawl('approve');
    expect(code).toBe(2);
    expect(err).toContain('pawl approvals');
  });

  it('approve with an id → shows exactly what was bound', async () => {
    const runKey = await insertRun(database);
    const id = await insertApproval(database, runKey, await insertEffect(database, runKey));
    const { code, out } = await pawl('approve', id, '--as', 'anna', '--reason', 'checked');
    expect(code).toBe(0);
    for (const text of [
      'pay_invoice',
      '"cents": 2000',
      'EUR 20.00',
      'over-limit',
      'finance',
      'expires',
    ]) {
      expect(out).toContain(text);
    }
    expect(out).toContain(`Approved ${id} by anna: checked`);
    expect(out).toContain('nobody was woken');
  });

  it('doctor → a report; exit 1 when nobody polls', async () => {
    const { code, out } = await pawl('doctor', '--json', '--task-queue', 'empty-one');
    expect(code).toBe(1);
    const { status, checks } = JSON.parse(out) as {
      status: string;
      checks: { name: string; status: string }[];
    };
    expect(status).toBe('fail');
    const statuses = Object.fromEntries(checks.map((check) => [check.name, check.status]));
    expect(statuses).toMatchObject({
      ...{
        node: 'pass',
        database: 'pass',
        schema: 'pass',
        clock: 'pass',
        temporal: 'pass',
        namespace: 'pass',
      },
      ...{ workers: 'fail', 'task queue': 'fail' },
    });
  });

  it('doctor with both servers down → every check has an answer, nothing throws', async () => {
    const io = createFakeIo();
    const servers = [
      '--database-url',
      'postgres://me:s3cret@127.0.0.1:1/x',
      '--temporal-address',
      '127.0.0.1:1',
    ];
    expect(await runCli(['doctor', ...servers], io)).toBe(1);
    expect(io.stdout()).toMatch(/FAIL\s+database.*ECONNREFUSED/);
    expect(io.stdout()).toMatch(/FAIL\s+temporal.*127\.0\.0\.1:1/);
    expect(io.stdout()).not.toContain('s3cret');
  });

  it('replay of a run from Temporal that does not exist there → Run.NoHistory', async () => {
    const runKey = await insertRun(database);
    const { code, err } = await pawl('replay', runKey, '--workflows', import.meta.filename);
    expect(code).toBe(2);
    expect(err).toContain(`no history of ${runKey}`);
  });
});
