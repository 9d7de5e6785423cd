// Heartbeats while a promise runs: a dead process is noticed within the heartbeat time-out, a slow one is not.
import type { Context } from '@temporalio/activity';
import { beat as beatWithMemory } from './attempt-memory.ts';

/** A third of the time-out: two beats may be lost before the server takes the process for dead. */
const BEATS_PER_TIMEOUT = 3;
/** A local activity has no heartbeat: after so long a silence its workflow task is lost. */
const LOCAL_SILENCE_MS = 4_000;

/** Whether Temporal has given the attempt up, as far as its process can know; never false again once it was true. */
export type IsGivenUp = () => boolean;

/** Runs `work`, heartbeating at a third of the activity's heartbeat time-out; a local activity only listens. */
export async function withHeartbeat<T>(
  context: Context,
  work: (isGivenUp: IsGivenUp) => Promise<T>,
): Promise<T> {
  const { isLocal, heartbeatTimeoutMs: timeoutMs } = context.info;
  const silenceMs = isLocal ? LOCAL_SILENCE_MS : timeoutMs;
  if (!silenceMs) return work(() => isTold(context));
  let beatAtMs = performance.now();
  let wasSilent = false;
  // A process that was frozen finds out by its own clock: Temporal's word comes later than the next line of code.
  const listen = (): boolean => {
    wasSilent ||= performance.now() - beatAtMs > silenceMs;
    return wasSilent;
  };
  const beat = (): void => {
    listen();
    beatAtMs = performance.now();
    if (!isLocal) beatWithMemory(context);
  };
  const timer = setInterval(beat, silenceMs / BEATS_PER_TIMEOUT);
  try {
    return await work(() => listen() || isTold(context));
  } finally {
    clearInterval(timer);
  }
}

/** Its workflow is gone, or another attempt takes its place. A wish to cancel is none: what was sent has to be settled. */
function isTold({ cancellationDetails: told }: Context): boolean {
  return told !== undefined && (told.notFound || told.timedOut || told.reset);
}
