// Follows a run by looking at its rows: quickly after a change, more rarely while nothing happens.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunResult } from '../domain/rules/run.ts';
import type { Json } from '../domain/rules/json.ts';
import { listApprovals } from './approval-views.ts';
import type { ClientContext } from './context.ts';
import { listEffects } from './effect-views.ts';
import { DatabaseUnreachableError } from './errors.ts';
import { resolveRunKey } from './ids.ts';
import { diffSnapshots, type RunEvent, type RunSnapshot } from './run-events.ts';
import {
  findRun,
  listCalls,
  listMessages,
  listTurns,
  readBody,
  type RunView,
} from './run-views.ts';

export interface WatchOptions {
  /** Ends the watching (the iterator returns); the run goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface FinishedRun {
  readonly runKey: string;
  readonly result: RunResult | null;
  readonly output: Json;
}

const POLL_MS_MIN = 250;
const POLL_MS_MAX = 2_000;
const POLL_GROWTH = 1.5;
/** What is left out would never be told. */
const ALL = 1_000_000_000;
/** A database that fails over comes back within this time. */
const OUTAGE_MS_MAX = 60_000;

/** Everything that has happened, then every change until the run has finished. */
export async function* watchRun(
  context: ClientContext,
  typed: string,
  { signal }: WatchOptions = {},
): AsyncGenerator<RunEvent, void, undefined> {
  const runKey = await resolveRunKey(context, typed);
  let before: RunSnapshot | undefined;
  let pollMs = POLL_MS_MIN;
  let outageSinceMs: number | undefined;
  while (!signal?.aborted) {
    const after = await lookAt(context, runKey).catch(toOutage);
    if (after instanceof DatabaseUnreachableError) {
      if (outageSinceMs === undefined) yield { kind: 'unreachable', message: after.message };
      outageSinceMs ??= performance.now();
      if (performance.now() - outageSinceMs > OUTAGE_MS_MAX) throw after;
    } else {
      outageSinceMs = undefined;
      const events = diffSnapshots(before, after);
      yield* events;
      if (after.run.isFinished) return;
      before = after;
      pollMs = events.length > 0 ? POLL_MS_MIN : Math.min(pollMs * POLL_GROWTH, POLL_MS_MAX);
    }
    await pause(pollMs, signal);
  }
}

/** Waits for the end and returns it; see PawlClient.result. */
export async function awaitResult(
  context: ClientContext,
  typed: string,
  { signal }: WatchOptions = {},
): Promise<FinishedRun> {
  const runKey = await resolveRunKey(context, typed);
  for (let pollMs = POLL_MS_MIN; ; pollMs = Math.min(pollMs * POLL_GROWTH, POLL_MS_MAX)) {
    signal?.throwIfAborted();
    const run = await requireRun(context, runKey);
    if (run.isFinished) {
      const { output } = await readBody(context, runKey);
      return { runKey, result: run.result, output };
    }
    await pause(pollMs, signal);
  }
}

/** Ends early, without an error, when the watching is ended. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
}

function toOutage(error: unknown): DatabaseUnreachableError {
  if (error instanceof DatabaseUnreachableError) return error;
  throw error;
}

async function lookAt(context: ClientContext, runKey: string): Promise<RunSnapshot> {
  // Read first: a run that has finished by now changes nothing of what is read after it.
  const run = await requireRun(context, runKey);
  const [turns, calls, effects, approvals, messages] = await Promise.all([
    listTurns(context, runKey),
    listCalls(context, runKey),
    listEffects(context, { runKey, limit: ALL }),
    listApprovals(context, { runKey, limit: ALL }),
    listMessages(context, runKey),
  ]);
  const output = run.isFinished ? (await readBody(context, runKey)).output : null;
  return { run, output, turns, calls, effects, approvals, messages };
}

async function requireRun(context: ClientContext, runKey: string): Promise<RunView> {
  const run = await findRun(context, runKey);
  if (!run) throw new Error(`The run ${runKey} disappeared while it was watched`);
  return run;
}
