// What one attempt of an activity leaves to the next, on whichever worker: Temporal keeps it as heartbeat details.
import type { Context } from '@temporalio/activity';

export interface AttemptMemory {
  readonly v: 1;
  /** The last failure that was ours, and how often it came. */
  readonly fault?: FaultMemory | undefined;
  /** Models that asked for a long wait, with its end in epoch milliseconds. */
  readonly waits?: Readonly<Record<string, number>> | undefined;
  /** How many answers of models in a row were not in their format. */
  readonly unread?: number | undefined;
  /** How often a stored answer was judged without an end. */
  readonly judged?: number | undefined;
}

export interface FaultMemory {
  /** A hash: the words themselves are in the failure. */
  readonly cause: string;
  /** In a row. */
  readonly count: number;
  /** With those that had another cause. */
  readonly total: number;
}

const NOTHING: AttemptMemory = { v: 1 };

const changed = new WeakMap<Context, AttemptMemory>();

/** What earlier attempts have left, with what this one has added. */
export function recallAttempts(context: Context): AttemptMemory {
  return changed.get(context) ?? fromDetails(context.info.heartbeatDetails) ?? NOTHING;
}

/** Sent with a heartbeat at once; a failure that follows it does not overtake it. A local activity has no next attempt. */
export function rememberAttempt(context: Context, change: Omit<AttemptMemory, 'v'>): void {
  if (context.info.isLocal) return;
  changed.set(context, { ...recallAttempts(context), ...change });
  beat(context);
}

/** A sign of life. The server keeps only the details of the last one, so each carries them. */
export function beat(context: Context): void {
  const memory = recallAttempts(context);
  if (memory === NOTHING) context.heartbeat();
  else context.heartbeat(memory);
}

/** Older builds beat without details. */
function fromDetails(details: unknown): AttemptMemory | undefined {
  const isOurs = typeof details === 'object' && details !== null && 'v' in details;
  return isOurs && details.v === 1 ? (details as AttemptMemory) : undefined;
}
