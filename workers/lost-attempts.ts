// An attempt whose predecessor fell silent: the workflow's next task does not wait for the worker that was lost, too.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Info } from '@temporalio/activity';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { createBoundedMap } from '../activities/bounded-map.ts';
import {
  type Description,
  type Event,
  type Execution,
  lastEvents,
  NOT_FOUND,
} from './executions.ts';

type Attempt = Pick<Info, 'activityId' | 'attempt'>;
const { TimeoutType } = proto.temporal.api.enums.v1;

/** Who took the last workflow task stands before all activities that it has started. */
const LAST_EVENTS = 100;
/** So long an attempt's result waits, without a beat: a server that is slower than this has other cares. */
const LIMIT_MS = 1_000;
/** Attempts that ended in words in this process: of those nothing has to be asked. */
const REMEMBERED = 10_000;
const WARN_EVERY_MS = 60_000;

export interface LostAttemptsOptions {
  readonly client: Pick<Client, 'workflowService' | 'options' | 'withDeadline'>;
  /** This worker's. */
  readonly identity: string;
  /** Told at most once a minute. */
  warn(message: string): void;
}

/**
 * Temporal puts a workflow's next task on the sticky queue of the worker that took the last one, and waits there for 3 s
 * when that one is dead: behind the 4 s that its activity has cost already. Never fails an attempt.
 */
export function createLostAttemptsInterceptor(
  options: LostAttemptsOptions,
): ActivityInterceptorsFactory {
  const failedHere = createBoundedMap<string, number>(REMEMBERED);
  const warn = atMostEvery(WARN_EVERY_MS, options.warn);
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const { attempt, isLocal, activityId, workflowExecution: execution } = info;
        if (isLocal || !execution) return next(input);
        const name = `${execution.runId} ${activityId}`;
        const mayBeLost = attempt > 1 && failedHere.get(name) !== attempt - 1;
        const left = mayBeLost ? leaveLostWorker(options, execution, info, warn) : undefined;
        try {
          return await next(input);
        } catch (error) {
          failedHere.set(name, attempt);
          throw error;
        } finally {
          await left;
        }
      },
    },
  });
}

/** Resolves after the limit at the latest, and never rejects. */
async function leaveLostWorker(
  options: LostAttemptsOptions,
  execution: Execution,
  attempt: Attempt,
  warn: (message: string) => void,
): Promise<void> {
  const tell = (why: string): void =>
    warn(`The next task of ${execution.workflowId} may wait for a worker that is gone: ${why}`);
  const left = leave(options, execution, attempt).catch((error: unknown) => {
    if (!isGrpcServiceError(error) || error.code !== NOT_FOUND) tell(String(error));
  });
  const isLate = sleep(LIMIT_MS, true, { ref: false });
  if (await Promise.race([left, isLate])) tell(`no answer within ${LIMIT_MS} ms`);
}

async function leave(
  { client, identity }: LostAttemptsOptions,
  execution: Execution,
  attempt: Attempt,
): Promise<void> {
  const { workflowService } = client;
  const asked = { namespace: client.options.namespace, execution };
  // On the worker's own connection this is the limit of each try, not of all.
  await client.withDeadline(Date.now() + LIMIT_MS, async () => {
    if (!isLost(attempt, await workflowService.describeWorkflowExecution(asked))) return;
    const taker = lastTaker(await lastEvents(client, execution, LAST_EVENTS));
    // It may have been this one, which was only slow.
    if (taker === undefined || taker === identity) return;
    await workflowService.resetStickyTaskQueue(asked);
  });
}

/**
 * Whether the attempt before this one was not heard of any more. Not where a workflow task waits: its taker, if it lives,
 * would be refused when it comes for it.
 */
export function isLost(
  { activityId, attempt }: Attempt,
  { pendingActivities, pendingWorkflowTask }: Description,
): boolean {
  const activity = pendingActivities?.find((each) => each.activityId === activityId);
  // Another attempt has begun meanwhile: the time-out was this one's.
  if (pendingWorkflowTask || activity?.attempt !== attempt) return false;
  const { timeoutType } = activity.lastFailure?.timeoutFailureInfo ?? {};
  return timeoutType === TimeoutType.TIMEOUT_TYPE_HEARTBEAT;
}

/** The identity of the worker that took the last workflow task; `events` are the last ones, newest first. */
export function lastTaker(events: readonly Event[]): string | undefined {
  const started = events.find((event) => event.workflowTaskStartedEventAttributes);
  return started?.workflowTaskStartedEventAttributes?.identity ?? undefined;
}

function atMostEvery(everyMs: number, tell: (message: string) => void): (message: string) => void {
  let lastAtMs = -Infinity;
  return (message) => {
    if (performance.now() - lastAtMs < everyMs) return;
    lastAtMs = performance.now();
    tell(message);
  };
}
