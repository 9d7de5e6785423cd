// A clock for tests of time-outs: they come when the test says so, and all else takes its time.
import { type Clock, systemClock } from '../../activities/clock.ts';

export interface HandClock extends Clock {
  /** The time of whatever runs under a deadline is up. */
  timeIsUp(): void;
}

/** Nobody has said so: something hangs that should not. Longer than every stall of the machine. */
const AT_LAST_MS = 20_000;

export function createHandClock(): HandClock {
  const running = new Set<AbortController>();
  const end = (ends: AbortController): void =>
    ends.abort(new DOMException('time is up', 'TimeoutError'));
  return {
    ...systemClock,
    deadline() {
      const ends = new AbortController();
      running.add(ends);
      const timer = setTimeout(() => end(ends), AT_LAST_MS);
      timer.unref();
      const cancel = (): void => {
        clearTimeout(timer);
        running.delete(ends);
      };
      return { signal: ends.signal, cancel };
    },
    timeIsUp: () => running.forEach(end),
  };
}
