// When workers die again and again right after their start: a pause before the next one.
import type { Notify } from './notices.ts';

/** A worker that lived longer did not die of what it did first. */
const YOUNG_MS = 2_000;
/** So many may die young before it is called a loop: a person who kills workers does not make one. */
const FREE = 3;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** How long to pause when so many workers in a row have died young; 0: not at all. */
export function pauseAfter(young: number): number {
  if (young < FREE) return 0;
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (young - FREE));
}

export interface Pacer {
  /** A worker died that was told to run then (by `performance.now()`), or never got so far. */
  count(toldAtMs: number | undefined): void;
  /** No worker is started or told to run now, and nothing is handed to another one before its time. */
  isPaused(): boolean;
  cancel(): void;
}

/** Calls `onResume` at the end of each pause. */
export function createPacer(notify: Notify, onResume: () => void): Pacer {
  let young = 0;
  let pause: NodeJS.Timeout | undefined;
  return {
    count(toldAtMs) {
      const livedMs = toldAtMs === undefined ? 0 : performance.now() - toldAtMs;
      young = livedMs < YOUNG_MS ? young + 1 : 0;
      const pauseMs = pauseAfter(young);
      if (pauseMs === 0) return;
      notify({ event: 'crash-loop', deaths: young, pauseMs });
      clearTimeout(pause);
      pause = setTimeout(() => {
        pause = undefined;
        onResume();
      }, pauseMs);
    },
    isPaused: () => pause !== undefined,
    cancel() {
      clearTimeout(pause);
      pause = undefined;
    },
  };
}
