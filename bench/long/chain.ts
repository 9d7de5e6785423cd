// A chain of executions turn by turn: what each turn adds to history, wherever continue-as-new cut it. Pure but for `fetchChain`.
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import proto from '@temporalio/proto';

type History = temporal.api.history.v1.IHistory;
type Event = temporal.api.history.v1.IHistoryEvent;
const { HistoryEvent } = proto.temporal.api.history.v1;

/** A turn from its model call to the next one in the same execution. */
export interface ChainTurn {
  readonly turn: number;
  readonly events: number;
  readonly bytes: number;
  /** By the server's clock. */
  readonly ms: number;
  /** More than the two activities and their workflow tasks: a compaction, a killed worker. */
  readonly isDisturbed: boolean;
}

/** The histories of all executions of a run, oldest first. */
export async function fetchChain(client: Client, workflowId: string): Promise<readonly History[]> {
  const chain: History[] = [];
  for (let runId: string | undefined = undefined, isFirst = true; isFirst || runId;) {
    const history: History = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    chain.unshift(history);
    isFirst = false;
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    runId = started?.continuedExecutionRunId || undefined;
  }
  return chain;
}

/**
 * The turns that lie within one execution. Left out, because they hold the chain's own events (start, continue-as-new):
 * what comes before the first model call of an execution and behind its last one.
 */
export function chainTurns(chain: readonly History[]): readonly ChainTurn[] {
  return chain.flatMap(({ events }) => {
    const all = events ?? [];
    const starts = all.flatMap((event, at) => (activityOf(event) === 'pawl.model' ? [at] : []));
    return starts.slice(0, -1).flatMap((start, nth) => {
      const end = starts[nth + 1] ?? all.length;
      const within = all.slice(start, end);
      const [first, next] = [all[start], all[end]];
      if (!first || !next) return [];
      return [
        {
          turn: turnOf(first),
          events: within.length,
          bytes: within.reduce((sum, event) => sum + HistoryEvent.encode(event).finish().length, 0),
          ms: timeMsOf(next) - timeMsOf(first),
          isDisturbed: within.some(isUnusual),
        },
      ];
    });
  });
}

const TypeOf = proto.temporal.api.enums.v1.EventType;

function isUnusual(event: Event): boolean {
  const { eventType } = event;
  return (
    eventType === TypeOf.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT ||
    eventType === TypeOf.EVENT_TYPE_WORKFLOW_TASK_FAILED ||
    activityOf(event) === 'pawl.compact'
  );
}

function activityOf(event: Event): string | undefined {
  return event.activityTaskScheduledEventAttributes?.activityType?.name ?? undefined;
}

/** The model activity is told its turn. */
function turnOf(event: Event): number {
  const [payload] = event.activityTaskScheduledEventAttributes?.input?.payloads ?? [];
  const input = JSON.parse(Buffer.from(payload?.data ?? []).toString('utf8')) as {
    address: { turn: number };
  };
  return input.address.turn;
}

function timeMsOf({ eventTime }: Event): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + (eventTime?.nanos ?? 0) / 1_000_000;
}

/** By how much the largest turn from the tenth on is over the smallest, as a share; disturbed ones do not count. */
export function growthOf(turns: readonly ChainTurn[], of: (turn: ChainTurn) => number): number {
  const values = turns.filter(({ turn, isDisturbed }) => turn >= 10 && !isDisturbed).map(of);
  return values.length === 0 ? 0 : Math.max(...values) / Math.min(...values) - 1;
}

/** A band of turns: its medians, for a table and a curve. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly events: number;
  readonly bytes: number;
  readonly ms: number;
}

export function bandsOf(turns: readonly ChainTurn[], bands: number): readonly Band[] {
  const last = Math.max(...turns.map(({ turn }) => turn));
  const width = Math.ceil(last / bands);
  return Array.from({ length: bands }, (_, at) => {
    const [from, to] = [at * width + 1, Math.min(last, (at + 1) * width)];
    const within = turns.filter(({ turn }) => turn >= from && turn <= to);
    const median = (of: (turn: ChainTurn) => number): number => {
      const values = within.map(of).sort((a, b) => a - b);
      return values[Math.floor(values.length / 2)] ?? 0;
    };
    return {
      from,
      to,
      events: median(({ events }) => events),
      bytes: median(({ bytes }) => bytes),
      ms: median(({ ms }) => ms),
    };
  });
}
