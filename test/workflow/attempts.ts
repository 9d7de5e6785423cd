// The activities that a history holds, and which of them ran inside of a workflow task.
import type { TestRun } from 'pawl/testing';

export interface Attempt {
  /** The activity's type. */
  readonly type: string;
  readonly isLocal: boolean;
}

type HistoryEvent = NonNullable<Awaited<ReturnType<TestRun['history']>>['events']>[number];

/** In the order of the history; a local activity stands in it by the marker that Core writes at its end. */
export async function attemptsOf(t: TestRun, workflowId: string): Promise<readonly Attempt[]> {
  const { events } = await t.history(workflowId);
  return (events ?? []).flatMap((event): readonly Attempt[] => {
    const local = localTypeOf(event);
    if (local !== undefined) return [{ type: local, isLocal: true }];
    const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
    return typeof type === 'string' ? [{ type, isLocal: false }] : [];
  });
}

function localTypeOf({ markerRecordedEventAttributes: marker }: HistoryEvent): string | undefined {
  if (marker?.markerName !== 'core_local_activity') return undefined;
  const [note] = marker.details?.['data']?.payloads ?? [];
  if (!note?.data) throw new Error('a marker of a local activity says which it was');
  return (JSON.parse(Buffer.from(note.data).toString()) as { activity_type: string }).activity_type;
}
