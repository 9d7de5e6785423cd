// How an attempt waits: short waits are slept, long ones are Temporal's; every delay carries jitter of its own.
import { ApplicationFailure } from '@temporalio/common';
import { nextDelayMs } from '../../domain/rules/backoff.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import type { EffectJob, EngineDeps } from './effect-job.ts';
import type { Probed } from './probe.ts';

/** Waits shorter than this are slept inside the attempt; longer ones are Temporal's. */
const SLEEP_MAX_MS = 2_000;
/** Between two looks at what somebody else is about to change. */
export const LOOK_PAUSE_MS = 500;

/** Sleeps, or ends the attempt with a failure that Temporal retries when the time has come. */
export async function waitUntil(
  deps: EngineDeps,
  delayMs: number,
  job: EffectJob,
  why: string,
): Promise<void> {
  if (delayMs <= SLEEP_MAX_MS) {
    await deps.crash('lease-wait', job.tool.name);
    await deps.clock.sleep(Math.max(delayMs, 10) + deps.random() * 100);
    return;
  }
  throw retryLater(deps, job, FailureType.EffectBlocked, why, delayMs);
}

/** Temporal has no jitter: the delay is ours (design, section 4, law 8). */
export function retryLater(
  deps: EngineDeps,
  job: EffectJob,
  type: string,
  message: string,
  retryAfterMs?: number,
): ApplicationFailure {
  const delayMs = nextDelayMs({
    attempt: job.claim.attempt,
    baseMs: 250,
    capMs: 30_000,
    random: deps.random(),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
  return ApplicationFailure.create({
    type,
    message,
    nextRetryDelay: Math.max(1, Math.round(delayMs)),
  });
}

/** Throws when Temporal is to wait: the next attempt asks again. */
export async function waitForReceiver(
  deps: EngineDeps,
  job: EffectJob,
  probed: Probed,
  nowMs: number,
): Promise<void> {
  if (probed.kind === 'failed') {
    const why = `the look-up of ${job.tool.name} failed: ${probed.reason}`;
    throw retryLater(deps, job, FailureType.EffectAmbiguous, why, probed.afterMs);
  }
  if (probed.kind === 'too-early') {
    await waitUntil(deps, probed.untilMs - nowMs, job, 'a send may not be visible yet');
  }
}
