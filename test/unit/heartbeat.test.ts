// Heartbeats of an attempt, and how it knows that Temporal has given it up: by its own clock, or told.
import type { Context } from '@temporalio/activity';
import { ActivityCancellationDetails } from '@temporalio/common';
import { describe, expect, it } from '@jest/globals';
import { type IsGivenUp, withHeartbeat } from '../../activities/heartbeat.ts';

const TIMEOUT_MS = 60;
/** A third of 4 s, and a little. */
const LOCAL_BEAT_MS = 1_400;

interface FakeContext {
  readonly info: { readonly heartbeatTimeoutMs: number | undefined; readonly isLocal?: boolean };
  cancellationDetails?: ActivityCancellationDetails;
  heartbeat(): void;
}

function inAttempt(
  work: (isGivenUp: IsGivenUp, context: FakeContext) => void | Promise<void>,
  heartbeatTimeoutMs: number | undefined = TIMEOUT_MS,
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
    inAttempt((isGivenUp) => expect(isGivenUp()).toBe(false)));

  it('its process was frozen past the heartbeat time-out → given up, at the very next line', () =>
    inAttempt((isGivenUp) => {
      freeze(TIMEOUT_MS + 20);
      expect(isGivenUp()).toBe(true);
    }));

  it('it beats again after the freeze → given up all the same', () =>
    inAttempt(async (isGivenUp, context) => {
      freeze(TIMEOUT_MS + 20);
      await new Promise<void>((resolve) => (context.heartbeat = resolve));
      expect(isGivenUp()).toBe(true);
    }));

  it('a local one is frozen for as long as a workflow task may take → given up, though it has no heartbeat', () => {
    const beats: string[] = [];
    const info = { heartbeatTimeoutMs: undefined, isLocal: true };
    const context: FakeContext = { info, heartbeat: () => void beats.push('beat') };
    return withHeartbeat(context as unknown as Context, async (isGivenUp) => {
      await new Promise((resolve) => setTimeout(resolve, LOCAL_BEAT_MS));
      expect(isGivenUp()).toBe(false);
      freeze(4_000);
      expect(isGivenUp()).toBe(true);
      expect(beats).toEqual([]);
    });
  });

  it.each([[{ notFound: true }], [{ timedOut: true }], [{ reset: true }]])(
    'Temporal says %o → given up',
    (told) =>
      inAttempt((isGivenUp, context) => {
        context.cancellationDetails = new ActivityCancellationDetails(told);
        expect(isGivenUp()).toBe(true);
      }, undefined),
  );

  it('a wish to cancel → not given up: what was sent has to be settled', () =>
    inAttempt((isGivenUp, context) => {
      context.cancellationDetails = new ActivityCancellationDetails({ cancelRequested: true });
      expect(isGivenUp()).toBe(false);
    }, undefined));
});
