// The time that an effect's attempt lives by: a port, so that a simulation can let years pass in a millisecond.
import { setTimeout as sleep } from 'node:timers/promises';

export interface Clock {
  /** Monotonic, in milliseconds; only differences mean something. */
  nowMs(): number;
  sleep(delayMs: number): Promise<void>;
  deadline(delayMs: number): Deadline;
}

export interface Deadline {
  /** Aborts when the time is up. */
  readonly signal: AbortSignal;
  /** It never aborts then, and nothing that listens to it is kept for it any longer. */
  cancel(): void;
}

/** The machine's own. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  sleep: (delayMs) => sleep(delayMs),
  deadline(delayMs) {
    const ends = new AbortController();
    const reason = (): Error =>
      new DOMException('The operation was aborted due to timeout', 'TimeoutError');
    const timer = setTimeout(() => ends.abort(reason()), delayMs);
    timer.unref();
    return { signal: ends.signal, cancel: () => clearTimeout(timer) };
  },
};

/** Runs `work` with a signal that aborts after so long, and lets go of what listens to it when the work is over. */
export async function withDeadline<T>(
  clock: Pick<Clock, 'deadline'>,
  delayMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, cancel } = clock.deadline(delayMs);
  try {
    return await work(signal);
  } finally {
    cancel();
  }
}
