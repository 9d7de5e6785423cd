// The blows of a plan: counts the passages of every point and says which of them strike now.
import type { Blow, Point } from './cells.ts';

export interface Blows {
  /** The blows whose passage this is; each strikes once. */
  take(point: Point): readonly Blow[];
  /** Taken back: the passage turned out to be none. */
  giveBack(blows: readonly Blow[]): void;
}

/** All blows are armed from the beginning, each with a count of its own. */
export function createBlows(blows: readonly Blow[]): Blows {
  const armed = blows.map((blow) => ({ blow, left: blow.nth }));
  return {
    take(point) {
      const passed = armed.filter(({ blow, left }) => blow.point === point && left > 0);
      for (const each of passed) each.left -= 1;
      return passed.flatMap(({ blow, left }) => (left === 0 ? [blow] : []));
    },
    giveBack(given) {
      for (const each of armed) if (given.includes(each.blow)) each.left = 1;
    },
  };
}
