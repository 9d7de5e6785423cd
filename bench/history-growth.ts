// Measures a history turn by turn: events and protobuf bytes between one model call and the next. Pure.
import type { temporal } from '@temporalio/proto';
import proto from '@temporalio/proto';

type History = temporal.api.history.v1.IHistory;
const { HistoryEvent } = proto.temporal.api.history.v1;
const SCHEDULED = proto.temporal.api.enums.v1.EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED;

export interface TurnSize {
  /** The first turn is 1. */
  readonly turn: number;
  readonly events: number;
  readonly bytes: number;
}

/** The limits of design section 5 for a turn of one model call and one effect. */
export const EVENTS_MAX = 12;
export const BYTES_MAX = 3 * 1024;

/** The size of each complete turn; what comes before the first model call and after the last one does not count. */
export function turnSizes(
  history: History,
  modelActivity: string = 'pawl.model',
): readonly TurnSize[] {
  const turns: { turn: number; events: number; bytes: number }[] = [];
  for (const event of history.events ?? []) {
    if (schedules(event, modelActivity))
      turns.push({ turn: turns.length + 1, events: 0, bytes: 0 });
    const open = turns.at(-1);
    if (!open) continue;
    open.events += 1;
    open.bytes += HistoryEvent.encode(event).finish().length;
  }
  // The last turn has no tool call but the run's end.
  return turns.slice(0, -1);
}

/** What breaks the limits, in words; empty when nothing does. */
export function violations(turns: readonly TurnSize[]): readonly string[] {
  return turns.flatMap(({ turn, events, bytes }) => [
    ...(events > EVENTS_MAX ? [`turn ${turn}: ${events} events, more than ${EVENTS_MAX}`] : []),
    ...(bytes > BYTES_MAX ? [`turn ${turn}: ${bytes} bytes, more than ${BYTES_MAX}`] : []),
  ]);
}

function schedules(event: temporal.api.history.v1.IHistoryEvent, activity: string): boolean {
  const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
  return event.eventType === SCHEDULED && type === activity;
}
