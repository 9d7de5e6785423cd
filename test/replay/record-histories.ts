// Records the histories that replay.test.ts replays: `npm run record:histories -- NAME…`, one behaviour a name. Old files
// are what builds of yesterday have written: give a new behaviour a new name, and record that one alone.
import { join } from 'node:path';
import {
  failWith,
  type ModelScript,
  type Receivers,
  saveHistory,
  stopTestServers,
  type TestRun,
  type TestRunOptions,
  toolResults,
  until,
  withTestRun,
} from 'pawl/testing';
import { startTemporal } from '../../devstack/servers/temporal-server.ts';
import {
  calls,
  clerk,
  DONE,
  lookUpTool,
  notifyTool,
  pay,
  payTool,
  TASK,
  untilLive,
} from '../workflow/clerk.ts';

const LARGE = 20_000;
const folder = join(import.meta.dirname, 'histories');
const agents = (r: Receivers) => [clerk(r)];

async function save(t: TestRun, workflowId: string, name: string, runId?: string): Promise<void> {
  const options = runId === undefined ? {} : { runId };
  const events = await saveHistory(t.temporal, workflowId, join(folder, `${name}.bin`), options);
  process.stdout.write(`${name}.bin: ${events} events\n`);
}

/** Every execution of a chain, oldest first: `name-1`, `name-2`, … */
async function saveChain(t: TestRun, workflowId: string, name: string): Promise<void> {
  const query = `WorkflowId = '${workflowId}'`;
  const isClosed = async () =>
    (await t.temporal.workflow.count(`${query} AND ExecutionStatus = 'Running'`)).count;
  await until(async () => (await isClosed()) === 0);
  const executions: { runId: string; startTime: Date }[] = [];
  for await (const { runId, startTime } of t.temporal.workflow.list({ query })) {
    executions.push({ runId, startTime });
  }
  executions.sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
  for (const [index, { runId }] of executions.entries()) {
    await save(t, workflowId, `${name}-${index + 1}`, runId);
  }
}

/** Reads, effects, what is forbidden, invalid and refused: all in one run. */
async function recordPayments(): Promise<void> {
  const model = [
    calls(['look_up', { reference: 'a' }], ['look_up', { reference: 'none' }]),
    calls(pay('a'), pay('b', 2_000, { payee: 'Blocked Ltd' }), ['pay', { cents: 'x' }], pay('c')),
    calls(pay('a'), ['notify', { subject: 'paid' }]),
    DONE,
  ];
  await withTestRun({ agents, model }, async (t) => {
    t.bank.setMode('c', 'reject-before-commit');
    const { runKey, result } = await t.start('clerk', TASK);
    await result();
    await save(t, runKey, 'payments');
  });
}

/** Approved, denied, expired, and one that waits on: a history need not be closed. */
async function recordApprovals(): Promise<void> {
  const model = [calls(pay('a', LARGE), pay('b', LARGE)), calls(pay('c', LARGE)), DONE];
  const expiring = (r: Receivers) => [clerk(r, { approvalExpiry: '2s' })];
  await withTestRun({ agents: expiring, model }, async (t) => {
    const { runKey, result } = await t.start('clerk', TASK);
    const first = await t.nextApproval(runKey);
    await untilLive(t, runKey, 'await-approval');
    await save(t, runKey, 'approval-waiting');
    await t.client.approve(first.id, { approver: 'ann' });
    const second = await t.nextApproval(runKey);
    await t.client.deny(second.id, { approver: 'ann' });
    await result();
    await save(t, runKey, 'approvals');
  });
}

async function recordControls(): Promise<void> {
  const paused = [calls(pay('a'), pay('b', LARGE)), DONE];
  await withTestRun({ agents, model: paused }, async (t) => {
    t.bank.setMode('a', 'slow', { delayMs: 400 });
    const { runKey, result } = await t.start('clerk', TASK);
    await until(() => t.bank.requests().length === 1);
    await t.client.pause(runKey);
    await untilLive(t, runKey, 'await-resume');
    await t.client.steer(runKey, 'go on');
    await t.client.resume(runKey);
    const { id } = await t.nextApproval(runKey);
    await t.client.approve(id, { approver: 'ann' });
    await result();
    await save(t, runKey, 'pause-resume');
  });
  await withTestRun({ agents, model: [{ ...DONE, delayMs: 20_000 }] }, async (t) => {
    const { runKey, result } = await t.start('clerk', TASK);
    await until(() => t.model.requests().length === 1);
    await t.client.cancel(runKey);
    await result();
    await save(t, runKey, 'cancel-model-call');
  });
  await withTestRun({ agents, model: [calls(pay('a'), pay('b'))] }, async (t) => {
    t.bank.setMode('a', 'slow', { delayMs: 400 });
    const { runKey, result } = await t.start('clerk', TASK);
    await until(() => t.bank.requests().length === 1);
    await t.client.cancel(runKey);
    await result();
    await save(t, runKey, 'cancel-effect');
  });
}

async function recordStuck(): Promise<void> {
  const model = [calls(pay('a')), failWith(401), DONE];
  await withTestRun({ agents, model }, async (t) => {
    const { runKey, result } = await t.start('clerk', TASK);
    await t.untilStatus(runKey, 'stuck');
    await t.client.resume(runKey);
    await result();
    await saveChain(t, runKey, 'stuck-resumed');
  });
}

async function recordContinueAsNew(): Promise<void> {
  const server = await startTemporal({
    ephemeral: true,
    env: { ...process.env, TEMPORAL_ADDRESS: undefined },
    dynamicConfig: [{ key: 'limit.historyCount.suggestContinueAsNew', value: 14 }],
  });
  const model: ModelScript = (request) => {
    const done = toolResults(request).length;
    return done < 2 ? calls(pay(`r-${done}`, done === 0 ? 2_000 : LARGE)) : DONE;
  };
  try {
    await withTestRun({ agents, model, temporalAddress: server.address }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      const { id } = await t.nextApproval(runKey);
      await t.client.approve(id, { approver: 'ann' });
      await result();
      await saveChain(t, runKey, 'continued');
    });
  } finally {
    await server.stop();
  }
}

/** effect() in a plain workflow: a read and a payment, and a doubt that a human settles. */
async function recordEffects(): Promise<void> {
  const options: TestRunOptions = {
    tools: (r) => [lookUpTool(r), payTool(r), notifyTool(r)],
    workflowsPath: join(import.meta.dirname, '../workflow/fixtures/plain-workflows.ts'),
  };
  await withTestRun(options, async (t) => {
    t.mailbox.setMode('r-1', 'commit-then-reset');
    const order = { runKey: 'order-1', reference: 'r-1' };
    for (const workflow of ['payOrder', 'notifyTeam']) {
      const workflowId = `${workflow}-${t.taskQueue}`;
      const { taskQueue } = t;
      const handle = await t.temporal.workflow.start(workflow, {
        workflowId,
        taskQueue,
        args: [order],
      });
      if (workflow === 'notifyTeam') await settleFirstDoubt(t);
      await handle.result();
      await save(
        t,
        workflowId,
        workflow === 'payOrder' ? 'effect-payment' : 'effect-doubt-settled',
      );
    }
  });
}

async function settleFirstDoubt(t: TestRun): Promise<void> {
  const doubt = await until(async () => (await t.client.doubts())[0]);
  await t.client.settle(doubt.effect, {
    outcome: 'applied',
    output: { messageId: 'msg_seen' },
    evidence: 'it is in the inbox',
    by: 'ann',
  });
}

/** A short tool: what it leaves open goes on as an activity. */
async function recordLocalTool(): Promise<void> {
  const short = (r: Receivers) => [
    clerk(r, { tools: [payTool(r, { local: true, timeout: '2s' })] }),
  ];
  await withTestRun({ agents: short, model: [calls(pay('a'), pay('b')), DONE] }, async (t) => {
    t.bank.setMode('b', '429', { times: 1, retryAfterSeconds: 1 });
    const { runKey, result } = await t.start('clerk', TASK);
    await result();
    await save(t, runKey, 'local-tool');
  });
}

const recordings: Readonly<Record<string, () => Promise<void>>> = {
  payments: recordPayments,
  approvals: recordApprovals,
  controls: recordControls,
  stuck: recordStuck,
  'continue-as-new': recordContinueAsNew,
  effects: recordEffects,
  'local-tool': recordLocalTool,
};
const names = process.argv.slice(2);
const known = Object.keys(recordings).join(', ');
if (names.length === 0) throw new Error(`record which? ${known}`);
for (const name of names) {
  const record = recordings[name];
  if (!record) throw new Error(`no recording "${name}"; there are ${known}`);
  await record();
}
await stopTestServers();
