// Starting runs through the client: the rows first, the workflow after, and the same key twice.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { PawlClient } from '../../client/index.ts';
import { testTemporalAddress } from '../../devstack/test-database.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertRun,
  insertWorker,
} from './client-fixtures.ts';

const INPUT = { file: 'invoices.csv' };
let database: ClientDatabase;
let client: PawlClient;
let connection: Connection;

beforeAll(async () => {
  database = await createClientDatabase();
  client = await PawlClient.connect({
    databaseUrl: database.url,
    temporalAddress: testTemporalAddress(),
    requester: 'dev',
  });
  connection = await Connection.connect({ address: testTemporalAddress() });
});
afterAll(async () => {
  await client.close();
  await connection.close();
  await database.drop();
});

const countRuns = async (): Promise<number> =>
  Number((await database.query('select count(*) from pawl.runs'))[0]?.['count']);
const describeWorkflow = (workflowId: string) =>
  new Client({ connection }).workflow.getHandle(workflowId).describe();

it('no worker has offered an agent → Agent.Unknown that says to start one', async () => {
  await expect(client.start('payouts', INPUT)).rejects.toMatchObject({
    code: 'Agent.Unknown',
    message: expect.stringContaining('No worker has offered an agent on task queue "pawl" yet'),
  });
});

describe('with a worker', () => {
  beforeAll(() => insertWorker(database));

  it.each(['', {}, null, []])(
    'an input of %j → Agent.InputInvalid that says what it takes',
    (input) =>
      expect(client.start('payouts', input)).rejects.toMatchObject({
        code: 'Agent.InputInvalid',
        message: expect.stringContaining('It takes { file: string, dryRun?: boolean }.'),
      }),
  );

  it('start → row, controls, and a workflow named like the run', async () => {
    const { runKey, workflowId, isNew } = await client.start('payouts', INPUT);
    expect(isNew).toBe(true);
    expect(runKey).toMatch(/^run_[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(workflowId).toBe(runKey);
    expect((await client.show(runKey)).run).toMatchObject({
      status: 'starting',
      requester: 'dev',
      turn: 0,
    });
    const controls = await database.query(
      'select paused_at from pawl.controls where run_key = $1',
      [runKey],
    );
    expect(controls).toEqual([{ paused_at: null }]);

    const description = await describeWorkflow(runKey);
    expect(description.type).toBe('agentRun');
    expect(await description.staticSummary()).toBe(`payouts · ${runKey}`);
    const started = description.raw.workflowExecutionInfo;
    expect(started?.type?.name).toBe('agentRun');
    expect(Number(description.raw.executionConfig?.workflowExecutionTimeout?.seconds ?? 0)).toBe(0);
  });

  it('start → the workflow gets exactly the pinned input', async () => {
    const { runKey } = await client.start('payouts', INPUT);
    const { history } = await client.history(runKey);
    const [first] = (
      history as {
        events: {
          workflowExecutionStartedEventAttributes: { input: { payloads: { data: Uint8Array }[] } };
        }[];
      }
    ).events;
    const [payload] = first?.workflowExecutionStartedEventAttributes.input.payloads ?? [];
    expect(JSON.parse(Buffer.from(payload?.data ?? []).toString())).toEqual({
      v: 1,
      tenant: 'default',
      runKey,
      rootKey: runKey,
      path: [],
      agent: 'payouts',
      generation: 0,
      input: INPUT,
    });
  });

  it('input beyond 64 KB → stays in the row, not in history', async () => {
    const { runKey } = await client.start('payouts', { file: 'x'.repeat(70_000) });
    const { history } = await client.history(runKey);
    expect(JSON.stringify(history).length).toBeLessThan(20_000);
    expect((await client.show(runKey)).input).toEqual({ file: 'x'.repeat(70_000) });
  });

  it('unknown agent → Agent.Unknown with the known ones, nothing written', async () => {
    const before = await countRuns();
    await expect(client.start('payuots', INPUT)).rejects.toMatchObject({
      code: 'Agent.Unknown',
      message: 'There is no agent "payuots". Known agents: payouts.',
    });
    expect(await countRuns()).toBe(before);
  });

  it('input that does not match → Agent.InputInvalid that names the field, nothing written', async () => {
    const before = await countRuns();
    await expect(client.start('payouts', { dryRun: true })).rejects.toMatchObject({
      code: 'Agent.InputInvalid',
      message: expect.stringContaining('file: '),
    });
    expect(await countRuns()).toBe(before);
  });

  it('same key, 10 at once → one run, new once', async () => {
    const starts = await Promise.all(
      Array.from({ length: 10 }, () => client.start('payouts', INPUT, { key: 'ten' })),
    );
    expect(new Set(starts.map(({ runKey }) => runKey)).size).toBe(1);
    expect(starts.filter(({ isNew }) => isNew)).toHaveLength(1);
  });

  it('same key, keys of the input in another order → the same run', async () => {
    const first = await client.start('payouts', { file: 'a', dryRun: true }, { key: 'order' });
    const second = await client.start('payouts', { dryRun: true, file: 'a' }, { key: 'order' });
    expect(second).toEqual({ ...first, isNew: false });
  });

  it('same key, other input → Start.KeyTaken that names the run', async () => {
    const { runKey } = await client.start('payouts', INPUT, { key: 'taken' });
    await expect(
      client.start('payouts', { file: 'other' }, { key: 'taken' }),
    ).rejects.toMatchObject({
      code: 'Start.KeyTaken',
      message: expect.stringContaining(runKey),
    });
    await expect(client.start('support', INPUT, { key: 'taken' })).rejects.toMatchObject({
      code: 'Start.KeyTaken',
      message: expect.stringContaining('agent (payouts)'),
    });
  });

  it('crash between row and workflow → a start with the same key starts it', async () => {
    const runKey = await insertRun(database, { agentHash: null, turn: 0, input: INPUT });
    await database.query("update pawl.runs set start_key = 'crashed' where run_key = $1", [runKey]);
    await expect(describeWorkflow(runKey)).rejects.toMatchObject({ name: 'WorkflowNotFoundError' });
    await expect(client.start('payouts', INPUT, { key: 'crashed' })).resolves.toEqual({
      runKey,
      workflowId: runKey,
      isNew: false,
    });
    expect((await describeWorkflow(runKey)).status.name).toBe('RUNNING');
  });

  it('crash between row and workflow, no key → resume starts it', async () => {
    const runKey = await insertRun(database, { agentHash: null, turn: 0, input: INPUT });
    await expect(client.resume(runKey)).resolves.toMatchObject({
      was: 'not-started',
      wake: { kind: 'delivered' },
    });
    expect((await describeWorkflow(runKey)).status.name).toBe('RUNNING');
  });

  it('Temporal down → Temporal.Unreachable, nothing written', async () => {
    const lonely = await PawlClient.connect({
      databaseUrl: database.url,
      temporalAddress: '127.0.0.1:1',
    });
    try {
      const before = await countRuns();
      await expect(lonely.start('payouts', INPUT)).rejects.toMatchObject({
        code: 'Temporal.Unreachable',
        exitCode: 3,
        message: expect.stringContaining('127.0.0.1:1'),
      });
      expect(await countRuns()).toBe(before);
    } finally {
      await lonely.close();
    }
  });

  it('unknown namespace → Temporal.NamespaceUnknown, nothing written', async () => {
    const lost = await PawlClient.connect({
      databaseUrl: database.url,
      temporalAddress: testTemporalAddress(),
      namespace: 'nowhere',
    });
    try {
      const before = await countRuns();
      await expect(lost.start('payouts', INPUT)).rejects.toMatchObject({
        code: 'Temporal.NamespaceUnknown',
        message: expect.stringContaining('no namespace "nowhere"'),
      });
      expect(await countRuns()).toBe(before);
    } finally {
      await lost.close();
    }
  });
});
