// Waiting for a condition instead of sleeping: looks often, gives up loudly.
import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** What is waited for, for the error. @default 'the condition' */
  readonly what?: string;
  /** @default 60_000 */
  readonly timeoutMs?: number;
  /** Between two looks. @default 20 */
  readonly everyMs?: number;
}

/** Looks until `look` returns something other than undefined, null or false, and returns that; throws when time is up. */
export async function until<T>(
  look: () => T | Promise<T>,
  { what = 'the condition', timeoutMs = 60_000, everyMs = 20 }: UntilOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const givesUpAtMs = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== null && seen !== false) {
      return seen as Exclude<T, undefined | null | false>;
    }
    if (performance.now() > givesUpAtMs) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`);
    }
    await sleep(everyMs);
  }
}
