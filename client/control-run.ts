// Pause, resume, cancel and steer: the row that the engine reads before every send, then the signal that wakes the run.
import { setTimeout as sleep } from 'node:timers/promises';
import { ulid } from 'ulid';
import type { ClientContext } from './context.ts';
import { ArgumentInvalidError, RunFinishedError } from './errors.ts';
import { type EffectView, listEffects } from './effect-views.ts';
import { resolveRunKey } from './ids.ts';
import { findRun, type RunView } from './run-views.ts';
import { readStoredRun, startWorkflow } from './start-run.ts';
import type { Wake } from './temporal.ts';

export interface ControlOptions {
  /** Who asks for it. @default the client's requester */
  readonly by?: string | undefined;
}

export interface PauseOptions extends ControlOptions {
  /** How long to wait until nothing is on the wire, in milliseconds. @default 60_000 */
  readonly timeoutMs?: number | undefined;
  /** Stops the waiting; the pause stands. */
  readonly signal?: AbortSignal | undefined;
}

export interface PauseAnswer {
  readonly runKey: string;
  /** `paused`: nothing is on the wire, and nothing will be sent. `pausing`: what is on the wire is not back yet. */
  readonly status: 'paused' | 'pausing';
  readonly onWire: readonly EffectView[];
  readonly wake: Wake;
}

export interface ControlAnswer {
  readonly runKey: string;
  readonly wake: Wake;
}

export interface ResumeAnswer extends ControlAnswer {
  /**
   * What there was to resume. `not-started`: its workflow had never been started. `lost`: Temporal no longer knew its
   * workflow; started again, it goes on from what the ledger holds. `nothing`: neither paused nor stuck.
   */
  readonly was: 'paused' | 'stuck' | 'not-started' | 'lost' | 'nothing';
}

export interface SteerAnswer extends ControlAnswer {
  readonly messageId: string;
}

const POLL_MS = 250;
const PAUSE_TIMEOUT_MS = 60_000;

/** From the moment the row is written nothing new is sent; then waits for what is on the wire. */
export async function pauseRun(
  context: ClientContext,
  typed: string,
  { by = context.requester, timeoutMs = PAUSE_TIMEOUT_MS, signal }: PauseOptions = {},
): Promise<PauseAnswer> {
  const { runKey, workflowId } = await requireOpenRun(context, typed, 'pause');
  await context.database.query(
    `insert into pawl.controls as c (tenant, run_key, paused_at, paused_by)
     values ($1, $2, clock_timestamp(), $3)
     on conflict (tenant, run_key) do update
       set paused_at = excluded.paused_at, paused_by = excluded.paused_by where c.paused_at is null`,
    [context.tenant, runKey, by],
  );
  const wake = await context.temporal.wake(workflowId, { name: 'paused', message: { v: 1, by } });
  const onWire = await waitForQuiet(context, runKey, timeoutMs, signal);
  return { runKey, status: onWire.length === 0 ? 'paused' : 'pausing', onWire, wake };
}

async function waitForQuiet(
  context: ClientContext,
  runKey: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<readonly EffectView[]> {
  const givesUpAtMs = performance.now() + timeoutMs;
  for (;;) {
    const onWire = await listEffects(context, { runKey, isOnWire: true });
    if (onWire.length === 0 || performance.now() >= givesUpAtMs || signal?.aborted) return onWire;
    await sleep(POLL_MS);
  }
}

/** Takes a paused or stuck run up again; also starts one whose start was cut off or whose workflow Temporal has lost. */
export async function resumeRun(
  context: ClientContext,
  typed: string,
  { by = context.requester }: ControlOptions = {},
): Promise<ResumeAnswer> {
  const run = await requireOpenRun(context, typed, 'resume');
  const { runKey, workflowId } = run;
  await context.database.query(
    `update pawl.controls set paused_at = null, paused_by = null
     where tenant = $1 and run_key = $2 and paused_at is not null`,
    [context.tenant, runKey],
  );
  const wake = await context.temporal.wake(workflowId, { name: 'resumed', message: { v: 1, by } });
  const isMissing = wake.kind === 'not-delivered' && wake.reason === 'workflow-ended';
  if (isMissing) {
    // One that Temporal still knows, because it was terminated, is refused as a duplicate.
    const stored = await readStoredRun(context, runKey);
    const isStarted = stored !== undefined && (await startWorkflow(context, stored));
    const was = isUnstarted(run) ? 'not-started' : 'lost';
    if (isStarted) return { runKey, was, wake: { kind: 'delivered' } };
  }
  return { runKey, was: whatWas(run), wake };
}

/** No step has run yet. */
function isUnstarted(run: RunView): boolean {
  return run.turn === 0 && (run.status === 'starting' || run.status === 'paused');
}

function whatWas(run: RunView): ResumeAnswer['was'] {
  if (run.pausedAt) return 'paused';
  return run.status === 'stuck' ? 'stuck' : 'nothing';
}

/** What is not sent yet is never sent; what is on the wire is settled first. */
export async function cancelRun(
  context: ClientContext,
  typed: string,
  { by = context.requester }: ControlOptions = {},
): Promise<ControlAnswer> {
  const { runKey, workflowId } = await requireOpenRun(context, typed, 'cancel');
  await context.database.query(
    `insert into pawl.controls as c (tenant, run_key, cancelled_at, cancelled_by)
     values ($1, $2, clock_timestamp(), $3)
     on conflict (tenant, run_key) do update
       set cancelled_at = excluded.cancelled_at, cancelled_by = excluded.cancelled_by
       where c.cancelled_at is null`,
    [context.tenant, runKey, by],
  );
  return { runKey, wake: await context.temporal.cancel(workflowId) };
}

/** Puts a message before the model at its next turn. */
export async function steerRun(
  context: ClientContext,
  typed: string,
  text: string,
  { by = context.requester }: ControlOptions = {},
): Promise<SteerAnswer> {
  if (text.trim() === '') throw new ArgumentInvalidError('A steering message may not be empty.');
  const { runKey, workflowId } = await requireOpenRun(context, typed, 'steer');
  const messageId = `msg_${ulid()}`;
  await context.database.query(
    'insert into pawl.messages (tenant, run_key, id, author, text) values ($1, $2, $3, $4, $5)',
    [context.tenant, runKey, messageId, by, text],
  );
  const signal = { name: 'steered', message: { v: 1, message: messageId } } as const;
  return { runKey, messageId, wake: await context.temporal.wake(workflowId, signal) };
}

async function requireOpenRun(
  context: ClientContext,
  typed: string,
  wish: string,
): Promise<RunView> {
  const runKey = await resolveRunKey(context, typed);
  const run = await findRun(context, runKey);
  if (!run) throw new Error(`The run ${runKey} disappeared while it was read`);
  if (run.isFinished) throw new RunFinishedError(runKey, run.status, wish);
  return run;
}
