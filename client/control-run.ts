// Pause, cancel and steer: the row that the engine reads before every send, then the signal that wakes the run.
import { setTimeout as sleep } from 'node:timers/promises';
import { ulid } from 'ulid';
import { UNSIGNALLED_FROM } from '../domain/rules/run.ts';
import { textBody } from '../activities/encryption/encryption.ts';
import type { ClientContext } from './context.ts';
import { RunFinishedError } from './errors.ts';
import { type EffectView, listEffects } from './effect-views.ts';
import { resolveRunKey } from './ids.ts';
import { findRun, type RunView } from './run-views.ts';
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
  const pause = (keys: readonly string[]): Promise<unknown> =>
    context.database.query(
      `insert into pawl.controls as c (tenant, run_key, paused_at, paused_by)
       select $1, unnest($2::text[]), clock_timestamp(), $3
       on conflict (tenant, run_key) do update
         set paused_at = excluded.paused_at, paused_by = excluded.paused_by where c.paused_at is null`,
      [context.tenant, keys, by],
    );
  const tree = await controlTree(context, runKey, pause);
  const wakeOne = (id: string): Promise<Wake> =>
    context.temporal.wake(id, { name: 'paused', message: { v: 1, by } });
  const wake = await wakeOne(workflowId);
  await Promise.all(tree.map(wakeOne));
  const onWire = await waitForQuiet(context, [runKey, ...tree], timeoutMs, signal);
  return { runKey, status: onWire.length === 0 ? 'paused' : 'pausing', onWire, wake };
}

async function waitForQuiet(
  context: ClientContext,
  runKeys: readonly string[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<readonly EffectView[]> {
  const givesUpAtMs = performance.now() + timeoutMs;
  for (;;) {
    const found = runKeys.map((runKey) => listEffects(context, { runKey, isOnWire: true }));
    const onWire = (await Promise.all(found)).flat();
    if (onWire.length === 0 || performance.now() >= givesUpAtMs || signal?.aborted) return onWire;
    await sleep(POLL_MS);
  }
}

/** What is not sent yet is never sent; what is on the wire is settled first. */
export async function cancelRun(
  context: ClientContext,
  typed: string,
  { by = context.requester }: ControlOptions = {},
): Promise<ControlAnswer> {
  const { runKey, workflowId } = await requireOpenRun(context, typed, 'cancel');
  const cancel = (keys: readonly string[]): Promise<unknown> =>
    context.database.query(
      `insert into pawl.controls as c (tenant, run_key, cancelled_at, cancelled_by)
       select $1, unnest($2::text[]), clock_timestamp(), $3
       on conflict (tenant, run_key) do update
         set cancelled_at = excluded.cancelled_at, cancelled_by = excluded.cancelled_by
         where c.cancelled_at is null`,
      [context.tenant, keys, by],
    );
  const tree = await controlTree(context, runKey, cancel);
  const wake = await context.temporal.cancel(workflowId);
  await Promise.all(tree.map((id) => context.temporal.cancel(id)));
  return { runKey, wake };
}

/**
 * Asks the same of a run and of the sub-agents below it; returns their run keys. The run's own row first: whoever starts a
 * sub-agent holds it, so every one is either found here or never begun.
 */
export async function controlTree(
  { database, tenant }: ClientContext,
  runKey: string,
  write: (runKeys: readonly string[]) => Promise<unknown>,
): Promise<readonly string[]> {
  const tree: string[] = [];
  for (let level: readonly string[] = [runKey]; level.length > 0;) {
    await write(level);
    const below = await database.query<{ runKey: string }>(
      `select run_key as "runKey" from pawl.runs
       where tenant = $1 and parent_run_key = any($2) and finished_at is null`,
      [tenant, level],
    );
    level = below.map((child) => child.runKey);
    tree.push(...level);
  }
  return tree;
}

/** Puts a message before the model at its next turn. */
export async function steerRun(
  context: ClientContext,
  typed: string,
  text: string,
  options: ControlOptions = {},
): Promise<SteerAnswer> {
  return sendMessage(context, await requireOpenRun(context, typed, 'steer'), text, options);
}

/** The row, then the signal that wakes a run which waits for words. */
export async function sendMessage(
  context: ClientContext,
  { runKey, workflowId }: Pick<RunView, 'runKey' | 'workflowId'>,
  text: string,
  { by = context.requester }: ControlOptions = {},
): Promise<SteerAnswer> {
  const messageId = `msg_${ulid()}`;
  // The lock orders it against an end: what is written before the end is still answered.
  const [written] = await context.database.query<{ waiting: number }>(
    `with control as materialized (
       select ended_at from pawl.controls where tenant = $1 and run_key = $2 for share)
     insert into pawl.messages (tenant, run_key, id, author, text)
     select $1, $2, $3, $4, $5 where not exists (select 1 from control where ended_at is not null)
     returning (select count(*) from (select 1 from pawl.messages
       where tenant = $1 and run_key = $2 and consumed_turn is null limit ${UNSIGNALLED_FROM}) as waiting) as waiting`,
    [
      context.tenant,
      runKey,
      messageId,
      by,
      textBody({ tenant: context.tenant, runKey }, 'messages.text', text),
    ],
  );
  if (!written) throw new RunFinishedError(runKey, 'its user has ended it', 'say');
  // A run takes the words with its next turn, however often it is told of them; a session that reads so many looks again.
  if (written.waiting >= UNSIGNALLED_FROM) {
    return { runKey, messageId, wake: { kind: 'delivered' } };
  }
  const signal = { name: 'steered', message: { v: 1, message: messageId } } as const;
  return { runKey, messageId, wake: await context.temporal.wake(workflowId, signal) };
}

/** A run that has not finished, by whatever names it. Throws RunFinishedError, UnknownIdError. */
export async function requireOpenRun(
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
