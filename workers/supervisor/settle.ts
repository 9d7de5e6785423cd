// Hands what a dead worker held back to Temporal, so that others go on at once; only for a process that has really ended.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import proto from '@temporalio/proto';
import { FailureType } from '../../domain/rules/failure.ts';
import { type Execution, lastEvents, NOT_FOUND } from '../executions.ts';
import { activitiesOf, type Holding, stickyQueueOf, taskOf } from './holdings.ts';
import { workflowTaskToken } from './task-token.ts';

const { TaskQueueKind, WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

export interface DeadWorker {
  readonly identity: string;
  readonly taskQueue: string;
}

/** How much was handed back. */
export interface Settled {
  /** Workflows that were looked at, and what they had lost. */
  readonly workflows: number;
  readonly activities: number;
  readonly workflowTasks: number;
  /** False when time was up first: the rest is left to Temporal's time-outs. */
  readonly isComplete: boolean;
  /** What went wrong, once each; the time-outs take care of it. */
  readonly problems: readonly string[];
}

/** What was on its way to the worker when it died shows a moment later; the last look is for a busy server. */
const LOOKS_AT_MS = [0, 250, 1_000];
/** After this the time-outs have done the same. */
const GIVE_UP_AFTER_MS = 8_000;
const WORKFLOWS_AT_ONCE = 16;
const LAST_EVENTS = 15;
/** Temporal refuses a poll that wants to wait for less than about a second. */
const POLL_MS = 3_000;
/** Zero would mean "do not retry". */
const RETRY_AFTER = '1ms';

interface Settling {
  readonly client: Client;
  readonly namespaceId: string;
  readonly dead: DeadWorker;
  readonly givesUpAtMs: number;
  readonly stickyQueues: Set<string>;
  readonly workflows: Set<string>;
  readonly counts: { activities: number; workflowTasks: number };
  readonly problems: Set<string>;
}

/** Looks several times through the running workflows of the dead worker's task queue; calls back after the first look. Never throws. */
export async function settleDeadWorker(
  client: Client,
  namespaceId: string,
  dead: DeadWorker,
  onFirstLook: () => void = () => undefined,
): Promise<Settled> {
  const startedAtMs = performance.now();
  const settling: Settling = {
    client,
    namespaceId,
    dead,
    givesUpAtMs: startedAtMs + GIVE_UP_AFTER_MS,
    stickyQueues: new Set(),
    workflows: new Set(),
    counts: { activities: 0, workflowTasks: 0 },
    problems: new Set(),
  };
  for (const atMs of LOOKS_AT_MS) {
    await sleep(Math.max(0, startedAtMs + atMs - performance.now()));
    await look(settling).catch((error: unknown) => settling.problems.add(textOf(error)));
    if (atMs === 0) onFirstLook();
  }
  return {
    workflows: settling.workflows.size,
    ...settling.counts,
    isComplete: performance.now() < settling.givesUpAtMs,
    problems: [...settling.problems],
  };
}

async function look(settling: Settling): Promise<void> {
  const { client, dead } = settling;
  const query = `TaskQueue = '${dead.taskQueue}' AND ExecutionStatus = 'Running'`;
  const running = client.workflow.list({ query })[Symbol.asyncIterator]();
  const work = async (): Promise<void> => {
    for (;;) {
      const next = performance.now() < settling.givesUpAtMs ? await running.next() : undefined;
      if (!next || next.done) return;
      const { workflowId, runId } = next.value;
      settling.workflows.add(runId);
      await settleWorkflow(settling, { workflowId, runId });
    }
  };
  await Promise.all(Array.from({ length: WORKFLOWS_AT_ONCE }, work));
  // Last: a poll of ours makes the queue look alive, and tasks would be put on it for ten seconds more.
  await Promise.all([...settling.stickyQueues].map((name) => closeQueue(settling, name)));
}

async function settleWorkflow(settling: Settling, execution: Execution): Promise<void> {
  const { client, dead } = settling;
  const { namespace } = client.options;
  try {
    const description = await client.workflowService.describeWorkflowExecution({
      namespace,
      execution,
    });
    const activities = activitiesOf(dead.identity, description);
    const hasTask = Boolean(description.pendingWorkflowTask);
    if (activities.length === 0 && !hasTask && settling.stickyQueues.size > 0) return;
    await Promise.all(activities.map((holding) => handBack(settling, execution, holding)));
    const events = await lastEvents(client, execution, LAST_EVENTS);
    const stickyQueue = stickyQueueOf(dead.identity, events);
    if (stickyQueue !== undefined) settling.stickyQueues.add(stickyQueue);
    const task = taskOf(dead.identity, description, events);
    if (task) await handBack(settling, execution, task);
  } catch (error) {
    if (!isOvertaken(error)) settling.problems.add(textOf(error));
  }
}

async function handBack(settling: Settling, execution: Execution, holding: Holding): Promise<void> {
  switch (holding.kind) {
    case 'activity':
      await failActivity(settling, execution, holding.activityId);
      settling.counts.activities += 1;
      return;
    case 'taken-task': {
      const { workflowId, runId } = execution;
      const { namespaceId } = settling;
      const name = { ...holding, namespaceId, workflowId: workflowId ?? '', runId: runId ?? '' };
      await failTask(settling, workflowTaskToken(name));
      return;
    }
    case 'waiting-task': {
      const taskToken = await takeTask(settling, holding.stickyQueue);
      if (taskToken) await failTask(settling, taskToken);
    }
  }
}

async function failActivity(
  { client, dead }: Settling,
  { workflowId, runId }: Execution,
  activityId: string,
): Promise<void> {
  const failure = ApplicationFailure.create({
    type: FailureType.WorkerDied,
    message: `the process of worker ${dead.identity} has ended`,
    nextRetryDelay: RETRY_AFTER,
  });
  const name = { workflowId: workflowId ?? '', runId: runId ?? '', activityId };
  await client.activity.fail(name, failure);
}

async function failTask(settling: Settling, taskToken: Uint8Array): Promise<void> {
  const { client, dead, counts } = settling;
  await client.workflowService.respondWorkflowTaskFailed({
    namespace: client.options.namespace,
    identity: supervisorOf(dead),
    taskToken,
    cause: WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
    failure: { message: `the process of worker ${dead.identity} has ended`, source: 'pawl' },
  });
  counts.workflowTasks += 1;
}

/** Takes one task that waits for the dead worker, of this workflow or of another one: each must be handed back. */
async function takeTask(
  { client, dead }: Settling,
  stickyQueue: string,
): Promise<Uint8Array | undefined> {
  const { taskToken } = await client.withDeadline(Date.now() + POLL_MS, () =>
    client.workflowService.pollWorkflowTaskQueue({
      namespace: client.options.namespace,
      identity: supervisorOf(dead),
      taskQueue: {
        name: stickyQueue,
        kind: TaskQueueKind.TASK_QUEUE_KIND_STICKY,
        normalName: dead.taskQueue,
      },
    }),
  );
  return taskToken && taskToken.length > 0 ? taskToken : undefined;
}

/** Without pollers Temporal puts nothing on it any more. */
async function closeQueue({ client, dead, problems }: Settling, stickyTaskQueue: string) {
  await client.workflowService
    .shutdownWorker({
      namespace: client.options.namespace,
      identity: dead.identity,
      stickyTaskQueue,
      reason: 'its process has ended',
    })
    .catch((error: unknown) => problems.add(textOf(error)));
}

const supervisorOf = ({ identity }: DeadWorker): string => `supervisor of ${identity}`;

const DEADLINE_EXCEEDED = 4;

/** Somebody else was faster: the workflow ended, the time-out came, another took the task. */
function isOvertaken(error: unknown): boolean {
  const codes: unknown[] = [NOT_FOUND, DEADLINE_EXCEEDED];
  const { cause } = error as { cause?: unknown };
  const grpc = isGrpcServiceError(error) ? error : cause;
  if (isGrpcServiceError(grpc)) return codes.includes(grpc.code);
  return error instanceof Error && error.name === 'ActivityNotFoundError';
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
