// Waiting for a condition, in processes that may be told to stop.
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  readonly signal: AbortSignal;
  readonly patienceMs: number;
  /** @default 20 */
  readonly everyMs?: number;
}

/** True as soon as the condition holds; false when the patience is over or the signal comes. */
export async function waitUntil(
  holds: () => boolean | Promise<boolean>,
  { signal, patienceMs, everyMs = 20 }: WaitOptions,
): Promise<boolean> {
  const deadlineMs = Date.now() + patienceMs;
  while (!signal.aborted && Date.now() < deadlineMs) {
    if (await holds()) return true;
    await sleep(everyMs);
  }
  return false;
}

/** What the work comes to, or a rejection as soon as the signal comes; the work itself goes on. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([work, aborted]);
}
