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
    const [description, { history }] = await Promise.all([
      workflowService.describeWorkflowExecution({ namespace, execution }),
      workflowService.getWorkflowExecutionHistoryReverse({
        namespace,
        execution,
        maximumPageSize: LAST_EVENTS,
      }),
    ]);
    if (!isStuckToSilent(identity, activityId, description, history?.events ?? [])) return;
    await workflowService.resetStickyTaskQueue({ namespace, execution });
  });
}

/**
 * Whether the attempt before this one was lost to a time-out and another worker took the last workflow task. Not where a
 * task waits already: Temporal would forget its time-out with the queue. `events` are the last ones, in any order.
 */
export function isStuckToSilent(
  identity: string,
  activityId: string,
  { pendingActivities, pendingWorkflowTask }: Description,
  events: readonly Event[],
): boolean {
  if (pendingWorkflowTask) return false;
  const attempt = pendingActivities?.find((activity) => activity.activityId === activityId);
  if (!attempt?.lastFailure?.timeoutFailureInfo) return false;
  const [last] = events
    .filter(({ workflowTaskStartedEventAttributes: started }) => Boolean(started))
    .sort((a, b) => Number(b.eventId) - Number(a.eventId));
  const taker = last?.workflowTaskStartedEventAttributes?.identity;
  return taker !== undefined && taker !== identity;
}
