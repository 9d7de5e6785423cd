// Pause, resume, cancel and steer through the client: the rows they write and what they say of the wire.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { PawlClient } from '../../client/index.ts';
import { testTemporalAddress } from '../../devstack/test-database.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertEffect,
  insertRun,
  insertWorker,
  resultOf,
} from './client-fixtures.ts';

let database: ClientDatabase;
let client: PawlClient;
let connection: Connection;
let runKey: string;

beforeAll(async () => {
  database = await createClientDatabase();
  await insertWorker(database);
  client = await PawlClient.connect({
    databaseUrl: database.url,
    temporalAddress: testTemporalAddress(),
    requester: 'olga',
  });
  connection = await Connection.connect({ address: testTemporalAddress() });
});
afterAll(async () => {
  await client.close();
  await connection.close();
  await database.drop();
});
beforeEach(async () => {
  ({ runKey } = await client.start('payouts', { file: 'a.csv' }, { requester: 'dev' }));
});

/** Names and payloads of the signals in the run's history. */
async function signalsOf(workflowId: string): Promise<[string, unknown][]> {
  const { events } = await new Client({ connection }).workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) => {
    const data = signal?.input?.payloads?.[0]?.data;
    return signal
      ? [[signal.signalName ?? '', JSON.parse(Buffer.from(data ?? []).toString())]]
      : [];
  });
}
const controlsOf = async (key: string) =>
  (
    await database.query('select paused_by, cancelled_by from pawl.controls where run_key = $1', [
      key,
    ])
  )[0];

describe('controls', () => {
  it('pause, resume → row and signal of the pinned names', async () => {
    await expect(client.pause(runKey)).resolves.toMatchObject({
      status: 'paused',
      wake: { kind: 'delivered' },
    });
    expect(await controlsOf(runKey)).toMatchObject({ paused_by: 'olga' });
    await expect(client.resume(runKey, { by: 'anna' })).resolves.toMatchObject({ was: 'paused' });
    expect(await controlsOf(runKey)).toMatchObject({ paused_by: null });
    expect(await signalsOf(runKey)).toEqual([
      ['pawl.paused', { v: 1, by: 'olga' }],
      ['pawl.resumed', { v: 1, by: 'anna' }],
    ]);
  });

  it('pause twice → the first one stays on record', async () => {
    await client.pause(runKey, { by: 'first' });
    await client.pause(runKey, { by: 'second' });
    expect(await controlsOf(runKey)).toMatchObject({ paused_by: 'first' });
  });

  it('something is on the wire → pausing, then paused when it is back', async () => {
    const effect = await insertEffect(database, runKey, {
      status: 'dispatched',
      sends: 1,
      leaseUntil: "clock_timestamp() + interval '1 hour'",
    });
    await expect(client.pause(runKey, { timeoutMs: 0 })).resolves.toMatchObject({
      status: 'pausing',
      onWire: [{ effect: effect.effect, isOnWire: true }],
    });
    const pausing = client.pause(runKey);
    await database.query("update pawl.effects set status = 'applied' where id = $1", [effect.id]);
    await expect(pausing).resolves.toMatchObject({ status: 'paused', onWire: [] });
  });

  it('a lease that has ended → not on the wire', async () => {
    await insertEffect(database, runKey, {
      status: 'dispatched',
      sends: 1,
      leaseUntil: "clock_timestamp() - interval '1 second'",
    });
    await expect(client.pause(runKey, { timeoutMs: 0 })).resolves.toMatchObject({
      status: 'paused',
    });
  });

  it('cancel → row, and Temporal is asked to cancel', async () => {
    await expect(client.cancel(runKey)).resolves.toMatchObject({ wake: { kind: 'delivered' } });
    expect(await controlsOf(runKey)).toMatchObject({ cancelled_by: 'olga' });
    const { events } = await new Client({ connection }).workflow.getHandle(runKey).fetchHistory();
    const isAsked = events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes);
    expect(isAsked).toBe(true);
  });

  it('steer → the message as a row, its id as the signal', async () => {
    const { messageId } = await client.steer(runKey, 'skip ACME');
    expect(await signalsOf(runKey)).toEqual([['pawl.steered', { v: 1, message: messageId }]]);
    expect((await client.show(runKey)).messages).toMatchObject([
      { id: messageId, author: 'olga', text: 'skip ACME', consumedTurn: null },
    ]);
    await expect(client.steer(runKey, ' ')).rejects.toMatchObject({ code: 'Argument.Invalid' });
  });

  it('decide, settle → the signals carry only ids', async () => {
    const effect = await insertEffect(database, runKey, { status: 'in_doubt', sends: 1 });
    const { settlement } = await client.settle(effect.effect, {
      outcome: 'applied',
      evidence: 'x',
    });
    expect(await signalsOf(runKey)).toEqual([
      ['pawl.settled', { v: 1, effect: effect.effect, settlement: settlement.id }],
    ]);
  });
});

describe('runs that do not listen', () => {
  it.each(['pause', 'resume', 'cancel'] as const)(
    '%s of a finished run → Run.Finished',
    async (wish) => {
      const finished = await insertRun(database, { result: resultOf('completed') });
      await expect(client[wish](finished)).rejects.toMatchObject({
        code: 'Run.Finished',
        message: expect.stringContaining(`nothing left to ${wish}`),
      });
      expect(await controlsOf(finished)).toEqual({ paused_by: null, cancelled_by: null });
    },
  );

  it('workflow terminated by an operator → the row stands, and it is said; a resume starts another one', async () => {
    await new Client({ connection }).workflow.getHandle(runKey).terminate('by an operator');
    const { wake } = await client.pause(runKey);
    expect(wake).toMatchObject({ kind: 'not-delivered', reason: 'workflow-ended' });
    expect(await controlsOf(runKey)).toMatchObject({ paused_by: 'olga' });
    // Another execution: the row says by whom, until a worker has taken it up.
    await expect(client.resume(runKey)).resolves.toMatchObject({
      was: 'terminated',
      wake: { kind: 'delivered' },
    });
    expect((await client.show(runKey)).run).toMatchObject({ isFinished: false });
  });
});
