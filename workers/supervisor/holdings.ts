// What a dead worker still holds of one workflow, read from its description and its last events. Pure.
import proto from '@temporalio/proto';
import type { Description, Event } from '../executions.ts';

const { PendingActivityState, PendingWorkflowTaskState, TaskQueueKind } =
  proto.temporal.api.enums.v1;

export type Holding =
  | { readonly kind: 'activity'; readonly activityId: string }
  /** A workflow task that it took and did not answer. */
  | {
      readonly kind: 'taken-task';
      readonly scheduledEventId: number;
      readonly attempt: number;
      readonly version: number;
    }
  /** A workflow task that waits on the queue that only it polled. */
  | { readonly kind: 'waiting-task'; readonly stickyQueue: string };

/** Activities that were started under the dead worker's identity: the description alone tells. */
export function activitiesOf(identity: string, { pendingActivities }: Description): Holding[] {
  return (pendingActivities ?? [])
    .filter(
      ({ state, lastWorkerIdentity }) =>
        state === PendingActivityState.PENDING_ACTIVITY_STATE_STARTED &&
        lastWorkerIdentity === identity,
    )
    .map(({ activityId }) => ({ kind: 'activity', activityId: activityId ?? '' }));
}

/** The open workflow task, where the dead worker has it; `events` are the last ones, newest first or last. */
export function taskOf(
  identity: string,
  { pendingWorkflowTask }: Description,
  events: readonly Event[],
): Holding | undefined {
  const { state, attempt } = pendingWorkflowTask ?? {};
  // Events of later attempts are not in the history: who has such a task cannot be told.
  if (attempt !== 1) return undefined;
  const scheduled = lastScheduled(events);
  if (!scheduled) return undefined;
  if (state === PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED) {
    const stickyQueue = stickyQueueOf(identity, [scheduled]);
    return stickyQueue === undefined ? undefined : { kind: 'waiting-task', stickyQueue };
  }
  if (state !== PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED) return undefined;
  const scheduledEventId = Number(scheduled.eventId);
  const isTaken = events.some(
    ({ workflowTaskStartedEventAttributes: started }) =>
      started?.identity === identity && Number(started.scheduledEventId) === scheduledEventId,
  );
  if (!isTaken) return undefined;
  return { kind: 'taken-task', scheduledEventId, attempt, version: Number(scheduled.version) };
}

/** The queue that only this worker polls: Temporal's SDK names it after the worker's identity. */
export function stickyQueueOf(identity: string, events: readonly Event[]): string | undefined {
  const names = events.flatMap(({ workflowTaskScheduledEventAttributes: scheduled }) => {
    const { kind, name } = scheduled?.taskQueue ?? {};
    return kind === TaskQueueKind.TASK_QUEUE_KIND_STICKY && name ? [name] : [];
  });
  const own = `${identity}-`;
  return names.find(
    (name) => name.startsWith(own) && /^[0-9a-f]{32}$/.test(name.slice(own.length)),
  );
}

function lastScheduled(events: readonly Event[]): Event | undefined {
  return events
    .filter(({ workflowTaskScheduledEventAttributes: scheduled }) => Boolean(scheduled))
    .sort((a, b) => Number(b.eventId) - Number(a.eventId))[0];
}
