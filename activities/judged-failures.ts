// How an attempt's failure reaches Temporal: one that is ours and keeps coming ends the step, so that its run is parked.
import { createHash } from 'node:crypto';
import { CompleteAsyncError, type Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { FailureType } from '../domain/rules/failure.ts';
import { describeThrown, inspectable } from '../domain/rules/thrown.ts';
import { rememberAttempt, recallAttempts, type FaultMemory } from './attempt-memory.ts';
import { toErrorName } from './error-facts.ts';
import { EncryptionError } from './encryption/encryption-error.ts';
import { isLedgersTrouble } from './ledger/database.ts';
import { toStorable } from './ledger/storable.ts';

/** The same failure so often in a row is no accident. */
const SAME_MAX = 3;
/** So many that differ are none either: a message may name a port, a time or a random id. */
const ANY_MAX = 10;
/** The wait after the first one, in milliseconds; the second is four times as long. */
const FIRST_WAIT_MS = 1_000;
const MESSAGE_CHARS_MAX = 2_000;

/** Failures with a rule of their own. A policy that can't be asked has none: it's a file of the user's. */
const RULED_TYPES: ReadonlySet<string> = new Set(
  Object.values(FailureType).filter((type) => type !== FailureType.PolicyUnavailable),
);

/**
 * Runs an attempt. What it throws keeps its own rule where it has one: a failure type of ours, the ledger's trouble, a
 * cancel. Everything else is a mistake of ours or of the user's code: tried again twice, then not retryable.
 */
export async function judgeFailures<T>(attempt: Attempt, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw judge(attempt, inspectable(error));
  }
}

export interface Attempt {
  readonly context: Context;
  /** The activity's type. */
  readonly activity: string;
  /** In [0, 1). */
  readonly random: () => number;
}

function judge({ context, activity, random }: Attempt, error: unknown): unknown {
  if (hasOwnRule(error)) return error;
  // A worker that stops, or an attempt that Temporal has replaced: nothing of it is the run's own end.
  if (context.cancellationSignal.aborted) {
    return isRunCancelled(context) ? error : stoppedAttempt(describe(error));
  }
  if (context.info.isLocal) return error;
  const message = describe(error);
  const fault = countFault(recallAttempts(context).fault, message);
  rememberAttempt(context, { fault });
  const type = error instanceof ApplicationFailure ? error.type : toErrorName(error);
  if (isHopeless(fault) && activity !== NEVER_ENDED) {
    const how = fault.count >= SAME_MAX ? `${fault.count} times in a row` : `${fault.total} times`;
    return ApplicationFailure.nonRetryable(
      `${activity} failed ${how}, and not because of the ledger, a model or a receiver: ${message}`,
      FailureType.StepFailed,
    );
  }
  const waitMs = FIRST_WAIT_MS * 4 ** Math.min(fault.count - 1, 2);
  const nextRetryDelay = Math.round((waitMs * (1 + random())) / 2);
  return ApplicationFailure.create({
    type: toStorable(type || 'Error').slice(0, 100),
    message,
    nextRetryDelay,
  });
}

/** It is what makes the others visible: it goes on trying. */
const NEVER_ENDED = 'pawl.park';

/** An attempt that was ended from our side and says nothing about its run: the next worker takes it up at once. */
export function stoppedAttempt(what: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: FailureType.WorkerStopped,
    message: `the attempt was ended before its work was done: ${what}`,
    nextRetryDelay: 1,
  });
}

/** Whether somebody wants the activity ended, and not only this attempt of it. */
export function isRunCancelled({ cancellationSignal, cancellationDetails }: Context): boolean {
  return cancellationSignal.aborted && cancellationDetails?.cancelRequested === true;
}

function hasOwnRule(error: unknown): boolean {
  if (error instanceof CancelledFailure || isLedgersTrouble(error)) return true;
  // No failure: the attempt ends without an answer, as `crashAt` of the test kit has it.
  if (error instanceof CompleteAsyncError) return true;
  // Keys that can't be had now: runs wait for whoever keeps them (docs/encryption.md), and doctor says so.
  if (error instanceof EncryptionError) return true;
  if (!(error instanceof ApplicationFailure)) return false;
  return error.nonRetryable === true || RULED_TYPES.has(error.type ?? '');
}

function countFault(before: FaultMemory | undefined, message: string): FaultMemory {
  // Numbers and ids differ from attempt to attempt where the mistake is the same.
  const words = message.replaceAll(/[0-9a-f]{8,}|\d+/gi, '#');
  const cause = createHash('sha256').update(words).digest('hex').slice(0, 16);
  const count = before?.cause === cause ? before.count + 1 : 1;
  return { cause, count, total: (before?.total ?? 0) + 1 };
}

function isHopeless({ count, total }: FaultMemory): boolean {
  return count >= SAME_MAX || total >= ANY_MAX;
}

function describe(error: unknown): string {
  const said = error instanceof ApplicationFailure ? error.message : describeThrown(error);
  return toStorable(said.slice(0, MESSAGE_CHARS_MAX));
}
