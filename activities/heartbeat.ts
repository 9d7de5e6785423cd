// Heartbeats while a promise runs: a dead process is noticed within the heartbeat time-out, a slow one is not.
import type { Context } from '@temporalio/activity';

/** A third of the time-out: two beats may be lost before the server takes the process for dead. */
const BEATS_PER_TIMEOUT = 3;

/** Whether Temporal has given the attempt up, as far as its process can know; never false again once it was true. */
export type IsGivenUp = () => boolean;

/** Runs `work`, heartbeating at a third of the activity's heartbeat time-out (not at all when it has none). */
export async function withHeartbeat<T>(
  context: Context,
  work: (isGivenUp: IsGivenUp) => Promise<T>,
): Promise<T> {
  const { heartbeatTimeoutMs } = context.info;
  if (!heartbeatTimeoutMs) return work(() => isTold(context));
  let beatAtMs = performance.now();
  let wasSilent = false;
  // A process that was frozen finds out by its own clock: Temporal's word comes later than the next line of code.
  const listen = (): boolean => {
    wasSilent ||= performance.now() - beatAtMs > heartbeatTimeoutMs;
    return wasSilent;
  };
  const beat = (): void => {
    listen();
    beatAtMs = performance.now();
    context.heartbeat();
  };
  const timer = setInterval(beat, heartbeatTimeoutMs / BEATS_PER_TIMEOUT);
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
