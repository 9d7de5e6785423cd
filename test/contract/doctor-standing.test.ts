// What `pawl doctor` says of runs that were ended in Temporal, of sweeps that never came, and of what is overdue.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { ulid } from 'ulid';
import { judgeSweeps } from '../../client/check-ledger.ts';
import { type HealthCheck, PawlClient } from '../../client/index.ts';
import { testTemporalAddress } from '../../devstack/test-database.ts';
import { until } from '../../testing/until.ts';
import { guarantee } from '../guarantee.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertEffect,
  insertRun,
  insertWorker,
} from './client-fixtures.ts';

const TEST_MS = 60_000;
const LIVE = 25;
const taskQueue = `doctor-${ulid().toLowerCase()}`;

let database: ClientDatabase;
let pawl: PawlClient;
let connection: Connection;
let temporal: Client;

beforeAll(async () => {
  database = await createClientDatabase();
  await insertWorker(database);
  connection = await Connection.connect({ address: testTemporalAddress() });
  temporal = new Client({ connection });
  pawl = await PawlClient.connect({
    databaseUrl: database.url,
    temporalAddress: testTemporalAddress(),
    taskQueue,
  });
}, TEST_MS);
afterAll(async () => {
  await pawl.close();
  await connection.close();
  await database.drop();
});

/** A run's row and its workflow, which no worker ever takes. */
async function startRow(queue: string): Promise<string> {
  const runKey = await insertRun(database);
  await temporal.workflow.start('agentRun', { workflowId: runKey, taskQueue: queue, args: [] });
  return runKey;
}

async function check(name: string): Promise<HealthCheck | undefined> {
  return (await pawl.doctor()).checks.find((one) => one.name === name);
}

describe('pawl doctor', () => {
  guarantee(
    'doctor-sees',
    'older live runs of another task queue beside terminated ones → it names the terminated ones',
    async () => {
      const live: string[] = [];
      for (let count = 0; count < LIVE; count += 1) live.push(await startRow(`${taskQueue}-other`));
      const ended = [await startRow(taskQueue), await startRow(taskQueue)];
      for (const id of ended) await temporal.workflow.getHandle(id).terminate('by an operator');
      // Visibility may be behind; what it says is confirmed with each workflow.
      const seen = await until(async () => {
        const histories = await check('histories');
        return histories?.status === 'warn' ? histories : undefined;
      });
      expect(seen.advice).toContain('The next sweep closes each as `terminated`');
      for (const id of ended) expect(seen.detail).toContain(id);
      for (const id of live) expect(seen.detail).not.toContain(id);
      for (const id of live) await temporal.workflow.getHandle(id).terminate('its test is over');
    },
    TEST_MS,
  );

  guarantee(
    'doctor-sees',
    'sent and past its lease, in doubt → counted, with the oldest',
    async () => {
      const runKey = await insertRun(database);
      const late = { status: 'dispatched', sends: 1, leaseUntil: `now() - interval '5 minutes'` };
      const { effect } = await insertEffect(database, runKey, { ...late, call: '0' });
      const doubt = await insertEffect(database, runKey, {
        status: 'in_doubt',
        sends: 1,
        call: '1',
      });
      expect(await check('overdue')).toMatchObject({
        status: 'warn',
        detail: expect.stringContaining(
          `1 sent and past the lease without an outcome; the oldest ${effect}`,
        ),
      });
      expect(await check('doubts')).toMatchObject({
        status: 'warn',
        detail: expect.stringContaining(`1 in doubt or in conflict; the oldest ${doubt.effect}`),
      });
    },
  );

  it('no sweep has ever ended → a failure once a worker has been live for minutes', () => {
    const none = { worker: null, agoS: null, report: null, failedAgoS: null, failure: null };
    const judge = (row: object) => judgeSweeps({ ...none, workerS: 10, ...row }, 'q');
    expect(judge({})).toMatchObject({ status: 'pass' });
    expect(judge({ workerS: 121 })).toMatchObject({ status: 'fail' });
    expect(judge({ workerS: null })).toMatchObject({ status: 'warn' });
    expect(judge({ worker: 'w', agoS: 20, report: { overdue: 2 } })).toEqual({
      status: 'pass',
      detail: 'the last one 20 s ago by w: 2 overdue',
    });
    expect(judge({ worker: 'w', agoS: 301, report: {} })).toMatchObject({ status: 'warn' });
    expect(judge({ worker: 'w', failedAgoS: 3, failure: 'no' })).toMatchObject({
      status: 'warn',
      detail: 'the last sweep failed 3 s ago (w): no; none has come to its end yet',
    });
  });
});
