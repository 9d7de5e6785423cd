// Heartbeats of an attempt, and how it knows that Temporal has given it up: by its own clock, or told.
import type { Context } from '@temporalio/activity';
import { ActivityCancellationDetails } from '@temporalio/common';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type IsGivenUp, withHeartbeat } from '../../activities/heartbeat.ts';

/** Shorter than a freeze. */
const TIMEOUT_MS = 60;
/** Longer than every stall of the machine. */
const LONG_MS = 60_000;
/** So long may a local one be silent. */
const LOCAL_SILENCE_MS = 4_000;

afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

interface FakeContext {
  readonly info: { readonly heartbeatTimeoutMs: number | undefined; readonly isLocal?: boolean };
  cancellationDetails?: ActivityCancellationDetails;
  heartbeat(): void;
}

function inAttempt(
  heartbeatTimeoutMs: number | undefined,
  work: (isGivenUp: IsGivenUp, context: FakeContext) => void | Promise<void>,
): Promise<void> {
  const context: FakeContext = { info: { heartbeatTimeoutMs }, heartbeat: () => undefined };
  return withHeartbeat(context as unknown as Context, async (isGivenUp) =>
    work(isGivenUp, context),
  );
}

/** Nothing of this process runs meanwhile: as in SIGSTOP. */
function freeze(delayMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}

describe('an attempt', () => {
  it('has just begun → not given up', () =>
    inAttempt(LONG_MS, (isGivenUp) => expect(isGivenUp()).toBe(false)));

  it('its process was frozen past the heartbeat time-out → given up, at the very next line', () =>
    inAttempt(TIMEOUT_MS, (isGivenUp) => {
      freeze(TIMEOUT_MS + 20);
      expect(isGivenUp()).toBe(true);
    }));

  it('it beats again after the freeze → given up all the same', () =>
    inAttempt(TIMEOUT_MS, async (isGivenUp, context) => {
      freeze(TIMEOUT_MS + 20);
      await new Promise<void>((resolve) => (context.heartbeat = resolve));
      expect(isGivenUp()).toBe(true);
    }));

  it('a local one is frozen for as long as a workflow task may take → given up, though it has no heartbeat', () => {
    const beats: string[] = [];
    const info = { heartbeatTimeoutMs: undefined, isLocal: true };
    const context: FakeContext = { info, heartbeat: () => void beats.push('beat') };
    jest.useFakeTimers();
    return withHeartbeat(context as unknown as Context, async (isGivenUp) => {
      jest.advanceTimersByTime(3 * LOCAL_SILENCE_MS);
      expect(isGivenUp()).toBe(false);
      // Frozen: the clock has gone on, and no timer has.
      const thawedAtMs = performance.now() + LOCAL_SILENCE_MS + 1;
      jest.spyOn(performance, 'now').mockReturnValue(thawedAtMs);
      expect(isGivenUp()).toBe(true);
      expect(beats).toEqual([]);
    });
  });

  it.each([[{ notFound: true }], [{ timedOut: true }], [{ reset: true }]])(
    'Temporal says %o → given up',
    (told) =>
      inAttempt(undefined, (isGivenUp, context) => {
        context.cancellationDetails = new ActivityCancellationDetails(told);
        expect(isGivenUp()).toBe(true);
      }),
  );

  it('a wish to cancel → not given up: what was sent has to be settled', () =>
    inAttempt(undefined, (isGivenUp, context) => {
      context.cancellationDetails = new ActivityCancellationDetails({ cancelRequested: true });
      expect(isGivenUp()).toBe(false);
    }));
});
