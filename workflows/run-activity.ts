// The one way in which a workflow runs an activity: explicit options in, the envelope of the result opened.
import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  scheduleActivity,
  scheduleLocalActivity,
  sleep,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { Duration } from '@temporalio/common';
import type { PawlActivities } from '../activities/index.ts';
import type { ToolActivityInput } from '../domain/rules/effect-outcome.ts';
import type { Enveloped } from '../domain/rules/envelope.ts';
import { type ExplicitOptions, localOptions, toolOptions } from './activity-options.ts';

/** Runs an activity by its type and returns the value in its result's envelope. Each promise costs the sandbox a stack trace. */
export function runActivity<T>(type: string, input: object, options: ExplicitOptions): Promise<T> {
  return scheduleActivity<Enveloped<T>>(type, [input], options).then(valueOf);
}

function valueOf<T>({ value }: Enveloped<T>): T {
  return value;
}

/** Runs one of Pawl's own activities. */
export function runPawlActivity<Name extends keyof PawlActivities>(
  name: Name,
  input: Parameters<PawlActivities[Name]>[0] & object,
  options: ExplicitOptions,
): Promise<Awaited<ReturnType<PawlActivities[Name]>>> {
  return runActivity(name, input, options);
}

/** What a tool's activity needs of its tool. */
export interface ToolRun {
  /** The activity's type. */
  readonly type: string;
  readonly timeoutMs: number;
  /** Its first attempt runs inside of the workflow task. */
  readonly isLocal: boolean;
  /** One line for Temporal's UI. */
  readonly summary: string;
}

/** Runs a tool: as an activity, or its first attempt as a local one. The ledger answers for an attempt that is run again. */
export function runTool<T>(run: ToolRun, input: ToolActivityInput): Promise<T> {
  if (run.isLocal) return runLocalFirst(run, input);
  return runActivity(run.type, input, toolOptions(run.timeoutMs, run.summary));
}

async function runLocalFirst<T>(
  { type, timeoutMs, summary }: ToolRun,
  input: ToolActivityInput,
): Promise<T> {
  try {
    const asked = { ...input, askedAtMs: Date.now() };
    const local = localOptions(timeoutMs, summary);
    const { value } = await scheduleLocalActivity<Enveloped<T>>(type, [asked], local);
    return value;
  } catch (error) {
    const delay = delayBeforeNext(error);
    if (delay !== undefined) await sleep(delay, { summary: `${summary} · next attempt` });
    return runActivity(type, { ...input, attemptsBefore: 1 }, toolOptions(timeoutMs, summary));
  }
}

/** The delay that the failure brings, if any. Throws what no further attempt can mend. */
function delayBeforeNext(error: unknown): Duration | undefined {
  if (isCancellation(error)) throw error;
  // The failure of a local activity comes as it was thrown, its time-out in the failure of an activity.
  const failure = error instanceof ActivityFailure ? error.cause : error;
  if (failure instanceof TimeoutFailure) return undefined;
  if (!(failure instanceof ApplicationFailure) || failure.nonRetryable === true) throw error;
  return failure.nextRetryDelay;
}
