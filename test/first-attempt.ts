// How the first activity of a workflow, or the first one of a type, came to its end.
import type { History } from '../testing/save-history.ts';

/** The attempt that ended it, and which time-out had ended the one before. */
export function endOfFirst({ events }: History, activityType?: string) {
  const scheduled = events?.find(({ activityTaskScheduledEventAttributes: each }) =>
    activityType === undefined ? each : each?.activityType?.name === activityType,
  );
  const started = events
    ?.map(({ activityTaskStartedEventAttributes: each }) => each)
    .find((each) => each && String(each.scheduledEventId) === String(scheduled?.eventId));
  return {
    attempt: started?.attempt,
    noticedBy: started?.lastFailure?.timeoutFailureInfo?.timeoutType,
  };
}
