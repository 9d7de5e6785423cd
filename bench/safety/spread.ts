// The arithmetic of repeated measurements: percentiles, spreads, and the steps of a history. Pure.
import type { temporal } from '@temporalio/proto';
import proto from '@temporalio/proto';

type History = temporal.api.history.v1.IHistory;
type Event = temporal.api.history.v1.IHistoryEvent;
const { EventType } = proto.temporal.api.enums.v1;

/** The smallest value that at least this share of all values do not exceed. Throws a `RangeError` without values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new RangeError('no percentile of nothing');
  return value;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    min: percentile(values, 0),
    median: percentile(values, 0.5),
    max: percentile(values, 1),
  };
}

/**
 * How long each step took, in milliseconds by the server's clock: from the scheduling of its activity to that of the
 * next one (of the last one: to the workflow's end), so that its workflow task counts, too.
 */
export function stepTimesMs({ events }: History): readonly number[] {
  const marks = (events ?? []).filter(
    ({ eventType }) =>
      eventType === EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED ||
      eventType === EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
  );
  const timesMs = marks.map(timeMsOf);
  return timesMs.slice(1).map((timeMs, at) => timeMs - (timesMs[at] ?? timeMs));
}

function timeMsOf({ eventTime }: Event): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + (eventTime?.nanos ?? 0) / 1_000_000;
}
