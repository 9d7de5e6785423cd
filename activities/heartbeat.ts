// Heartbeats while a promise runs: a dead process is noticed within the heartbeat time-out, a slow one is not.
import type { Context } from '@temporalio/activity';

/** A third of the time-out: two beats may be lost before the server takes the process for dead. */
const BEATS_PER_TIMEOUT = 3;

/** Runs `work`, heartbeating at a third of the activity's heartbeat time-out (not at all when it has none). */
export async function withHeartbeat<T>(context: Context, work: () => Promise<T>): Promise<T> {
  const { heartbeatTimeoutMs } = context.info;
  if (!heartbeatTimeoutMs) return work();
  const timer = setInterval(() => context.heartbeat(), heartbeatTimeoutMs / BEATS_PER_TIMEOUT);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
