// Code of a user's that may never end is left behind when its time is up; how it ended is an answer, never a throw.
import { inspectable } from '../../domain/rules/thrown.ts';

export type Ran<T = unknown> =
  | { readonly ok: true; readonly output: T; readonly isLeftBehind: false }
  | { readonly ok: false; readonly error: unknown; readonly isLeftBehind: boolean };

/** A tool that ignores its signal is left behind when its time is up: its lease is over. */
export async function settleWithin<T>(running: Promise<T>, signal: AbortSignal): Promise<Ran<T>> {
  let isLeftBehind = false;
  const timedOut = new Promise<never>((_, reject) => {
    const end = (): void => {
      isLeftBehind = true;
      reject(signal.reason as Error);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  try {
    return { ok: true, output: await Promise.race([running, timedOut]), isLeftBehind: false };
  } catch (error) {
    return { ok: false, error: inspectable(error), isLeftBehind };
  }
}
