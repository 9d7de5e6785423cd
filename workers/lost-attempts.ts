// An attempt whose predecessor fell silent: the workflow's next task does not wait for the worker that was lost, too.
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';

type Description = temporal.api.workflowservice.v1.IDescribeWorkflowExecutionResponse;
type Execution = temporal.api.common.v1.IWorkflowExecution;
type Event = temporal.api.history.v1.IHistoryEvent;

/** Enough to find who took the last workflow task: the activities that it started stand behind it. */
const LAST_EVENTS = 40;
/** The attempt's result waits for it: what is slower than this saves little. */
const LIMIT_MS = 1_000;

/**
 * Temporal puts a workflow's next task on the sticky queue of the worker that took the last one, and waits there for 3 s
 * when that one is dead: behind the 4 s that its activity has cost already. Never fails an attempt.
 */
export function createLostAttemptInterceptor(
  client: Client,
  identity: string,
  warn: (message: string) => void,
): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const { attempt, isLocal, activityId, workflowExecution: execution } = info;
        if (attempt === 1 || isLocal || !execution) return next(input);
        const done = leaveSilentWorker(client, identity, { activityId, execution }).catch(
          (error: unknown) =>
            warn(`The next task of ${execution.workflowId} may be late: ${String(error)}`),
        );
        const result = await next(input);
        await done;
        return result;
      },
    },
  });
}

async function leaveSilentWorker(
  client: Client,
  identity: string,
  { execution, activityId }: { activityId: string; execution: Execution },
): Promise<void> {
  const { workflowService } = client;
  const { namespace } = client.options;
  await client.withDeadline(Date.now() + LIMIT_MS, async () => {
    const asked = { namespace, execution };
    const description = await workflowService.describeWorkflowExecution(asked);
    if (!isLost(activityId, description)) return;
    const { history } = await workflowService.getWorkflowExecutionHistoryReverse({
      ...asked,
      maximumPageSize: LAST_EVENTS,
    });
    const taker = lastTaker(history?.events ?? []);
    // It may have been this one, which was only slow.
    if (taker === undefined || taker === identity) return;
    await workflowService.resetStickyTaskQueue(asked);
  });
}

/**
 * Whether the attempt before timed out, and no workflow task waits: Temporal would forget the time-out of one that does
 * together with its queue.
 */
export function isLost(
  activityId: string,
  { pendingActivities, pendingWorkflowTask }: Description,
): boolean {
  if (pendingWorkflowTask) return false;
  const activity = pendingActivities?.find((each) => each.activityId === activityId);
  return Boolean(activity?.lastFailure?.timeoutFailureInfo);
}

/** The identity of the worker that took the last workflow task; `events` are the last ones, newest first. */
export function lastTaker(events: readonly Event[]): string | undefined {
  const started = events.find((event) => event.workflowTaskStartedEventAttributes);
  return started?.workflowTaskStartedEventAttributes?.identity ?? undefined;
}
