// The time that an effect's attempt lives by: a port, so that a simulation can let years pass in a millisecond.
import { setTimeout as sleep } from 'node:timers/promises';

export interface Clock {
  /** Monotonic, in milliseconds; only differences mean something. */
  nowMs(): number;
  sleep(delayMs: number): Promise<void>;
  /** Aborts after so long. */
  timeout(delayMs: number): AbortSignal;
}

/** The machine's own. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  sleep: (delayMs) => sleep(delayMs),
  timeout: (delayMs) => AbortSignal.timeout(delayMs),
};
