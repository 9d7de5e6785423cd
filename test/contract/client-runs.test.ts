// Runs through the client: the status that is derived from rows, details, and watching.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PawlClient, type RunEvent } from '../../client/index.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertApproval,
  insertEffect,
  insertRun,
  insertTurn,
  resultOf,
} from './client-fixtures.ts';

let database: ClientDatabase;
let client: PawlClient;

beforeAll(async () => {
  database = await createClientDatabase();
  client = await PawlClient.connect({ databaseUrl: database.url, temporalAddress: '127.0.0.1:1' });
});
afterAll(async () => {
  await client.close();
  await database.drop();
});

const statusOf = async (runKey: string): Promise<string> => (await client.show(runKey)).run.status;
const control = (runKey: string, column: string) =>
  database.query(`update pawl.controls set ${column} = clock_timestamp() where run_key = $1`, [
    runKey,
  ]);

describe('the status of a run', () => {
  it.each([
    ['not opened yet', { agentHash: null, turn: 0 }, 'starting'],
    ['opened', {}, 'running'],
    ['stuck', { stuckCause: { message: 'boom' } }, 'stuck'],
    ['completed', { result: resultOf('completed') }, 'completed'],
    ['blocked', { result: resultOf('blocked', 'denied') }, 'blocked'],
    ['finished without a result', { isFinished: true }, 'ended'],
  ])('%s → %s', async (_case, row, status) => {
    expect(await statusOf(await insertRun(database, row))).toBe(status);
  });

  it('pending approval → waiting_approval; decided or expired → running again', async () => {
    const runKey = await insertRun(database);
    const effect = await insertEffect(database, runKey);
    const id = await insertApproval(database, runKey, effect);
    expect(await statusOf(runKey)).toBe('waiting_approval');
    await database.query(
      `insert into pawl.decisions (tenant, approval_id, id, decision, approver, binding)
       values ('default', $1, 'de_1', 'approve', 'anna', 'x')`,
      [id],
    );
    expect(await statusOf(runKey)).toBe('running');

    const late = await insertRun(database);
    await insertApproval(database, late, await insertEffect(database, late), {
      expiresAt: "clock_timestamp() - interval '1 second'",
    });
    expect(await statusOf(late)).toBe('running');
  });

  it('doubt, paused, cancelled on top of each other → what a human must know first', async () => {
    const runKey = await insertRun(database);
    await insertEffect(database, runKey, { status: 'in_doubt', sends: 1 });
    expect(await statusOf(runKey)).toBe('in_doubt');
    await control(runKey, 'paused_at');
    expect(await statusOf(runKey)).toBe('paused');
    await control(runKey, 'cancelled_at');
    expect(await statusOf(runKey)).toBe('cancelling');
    expect((await client.show(runKey)).run.doubts).toBe(1);
  });
});

describe('ids', () => {
  it('beginning, end, other case, latest → the run', async () => {
    const runKey = await insertRun(database, { runKey: 'run_01AAAAAAAAAAAAAAAAAAAAZZZZ' });
    await insertRun(database, { runKey: 'run_01AAAAAAAAAAAAAAAAAAAAYYYY' });
    for (const typed of ['AAZZZZ', 'aazzzz', runKey, 'run_01AAAAAAAAAAAAAAAAAAAAZ']) {
      await expect(client.runKey(typed)).resolves.toBe(runKey);
    }
    const latest = await insertRun(database);
    await expect(client.runKey('latest')).resolves.toBe(latest);
  });

  it('two candidates → Id.Ambiguous that lists both', async () => {
    await expect(client.show('run_01AAAAAAAA')).rejects.toMatchObject({
      code: 'Id.Ambiguous',
      candidates: ['run_01AAAAAAAAAAAAAAAAAAAAYYYY', 'run_01AAAAAAAAAAAAAAAAAAAAZZZZ'],
    });
  });

  it('with the prefix typed → the end of an id is not meant', async () => {
    await expect(client.show('run_AAZZZZ')).rejects.toMatchObject({ code: 'Run.Unknown' });
  });

  it("another tenant's run → unknown", async () => {
    const other = await PawlClient.connect({ databaseUrl: database.url, tenant: 'other' });
    try {
      await expect(other.show('run_01AAAAAAAAAAAAAAAAAAAAZZZZ')).rejects.toMatchObject({
        code: 'Run.Unknown',
        message: expect.stringContaining('tenant "other"'),
      });
      await expect(other.list()).resolves.toEqual([]);
      await expect(other.runKey('latest')).rejects.toMatchObject({ code: 'Run.Unknown' });
    } finally {
      await other.close();
    }
  });
});

describe('reading', () => {
  it('list → newest first, limited, by status', async () => {
    const stuck = await insertRun(database, { stuckCause: 'x' });
    const newest = await insertRun(database);
    const [first] = await client.list({ limit: 1 });
    expect(first?.runKey).toBe(newest);
    const found = await client.list({ status: 'stuck' });
    expect(found.map(({ runKey }) => runKey)).toContain(stuck);
    expect(new Set(found.map(({ status }) => status))).toEqual(new Set(['stuck']));
  });

  it('show → turns, calls and effects in order, the transcript only when asked for', async () => {
    const runKey = await insertRun(database);
    for (const call of ['2', '10', '1']) await insertEffect(database, runKey, { call });
    await insertTurn(database, runKey, 1, 'I pay.');
    const details = await client.show(runKey);
    expect(details.calls.map(({ call }) => call)).toEqual(['1', '2', '10']);
    expect(details.effects.map(({ call }) => call)).toEqual(['1', '2', '10']);
    expect(details.calls[0]?.effect).toBe(details.effects[0]?.effect);
    expect(details.turns).toMatchObject([{ turn: 1, costMicroUsd: 20_615, isPriced: true }]);
    expect(details.transcript).toBeUndefined();
    const { transcript } = await client.show(runKey, { transcript: true });
    expect(transcript).toMatchObject([
      { role: 'assistant', parts: [{ kind: 'text', text: 'I pay.' }, {}] },
    ]);
  });

  it('result → waits for the end, then result and output', async () => {
    const runKey = await insertRun(database);
    const waiting = client.result(runKey);
    await finish(runKey);
    await expect(waiting).resolves.toMatchObject({
      runKey,
      result: { kind: 'completed' },
      output: { paid: 1 },
    });
  });

  it('result, aborted → rejects with the reason of the signal', async () => {
    const runKey = await insertRun(database);
    await expect(client.result(runKey, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  it('watch → the past, each change, the end', async () => {
    const runKey = await insertRun(database);
    const effect = await insertEffect(database, runKey, { status: 'dispatched', sends: 1 });
    const seen: RunEvent['kind'][] = [];
    for await (const event of client.watch(runKey)) {
      seen.push(event.kind);
      if (event.kind === 'effect' && event.effect.status === 'dispatched') {
        await database.query("update pawl.effects set status = 'applied' where id = $1", [
          effect.id,
        ]);
      } else if (event.kind === 'effect') await finish(runKey);
    }
    expect(seen).toEqual(['status', 'call', 'effect', 'effect', 'finished']);
  });

  it('watch, aborted → ends without an error', async () => {
    const runKey = await insertRun(database);
    const seen: RunEvent['kind'][] = [];
    const interrupt = new AbortController();
    for await (const event of client.watch(runKey, { signal: interrupt.signal })) {
      seen.push(event.kind);
      interrupt.abort();
    }
    expect(seen).toEqual(['status']);
  });
});

function finish(runKey: string): Promise<unknown> {
  return database.query(
    'update pawl.runs set finished_at = clock_timestamp(), result = $2, output = $3 where run_key = $1',
    [runKey, JSON.stringify(resultOf('completed')), JSON.stringify({ paid: 1 })],
  );
}
