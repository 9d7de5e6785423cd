// Sessions: what their user says, what is answered to it, and how they end. A session is a run; its words are rows.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Part, wordsOf } from '../domain/rules/transcript.ts';
import type { RunResult } from '../domain/rules/run.ts';
import type { ClientContext } from './context.ts';
import {
  type ControlAnswer,
  type ControlOptions,
  requireOpenRun,
  sendMessage,
  type SteerAnswer,
} from './control-run.ts';
import { NotASessionError } from './errors.ts';
import { resolveRunKey } from './ids.ts';
import { findRun, readTranscript, type RunStatus, type RunView } from './run-views.ts';

/** What a session answered. */
export interface Reply {
  readonly runKey: string;
  /** The turn that gave the answer; null when the session ended without one. */
  readonly turn: number | null;
  readonly text: string;
  /** Only when the session ended: how. */
  readonly result: RunResult | null;
}

export interface ReplyOptions {
  /** The message that is to be answered. @default the first words, which are the session's input */
  readonly messageId?: string | undefined;
  /** Ends the waiting; the session goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the session's status changes while it is waited for, such as `waiting_approval`. */
  readonly onStatus?: ((status: RunStatus) => void) | undefined;
}

const POLL_MS_MIN = 50;
const POLL_MS_MAX = 1_000;

/** Says something to a session: it is answered once, after everything that was said before it. */
export async function say(
  context: ClientContext,
  typed: string,
  text: string,
  options: ControlOptions = {},
): Promise<SteerAnswer> {
  const run = await requireSession(context, typed, 'say');
  return sendMessage(context, run, text, options);
}

/** Waits for the answer to a message. Rejects with the signal's reason when it is aborted. */
export async function awaitReply(
  context: ClientContext,
  typed: string,
  { messageId, signal, onStatus }: ReplyOptions = {},
): Promise<Reply> {
  const runKey = await resolveRunKey(context, typed);
  let seen: RunStatus | undefined;
  for (let pollMs = POLL_MS_MIN; ; pollMs = Math.min(pollMs * 1.5, POLL_MS_MAX)) {
    signal?.throwIfAborted();
    const run = await findRun(context, runKey);
    const reply = await findReply(context, runKey, messageId);
    if (reply) return { ...reply, result: null };
    if (!run || run.isFinished)
      return { runKey, turn: null, text: '', result: run?.result ?? null };
    if (run.status !== seen) onStatus?.((seen = run.status));
    await sleep(pollMs, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
}

/** The first answer that knew the message. */
async function findReply(
  context: ClientContext,
  runKey: string,
  messageId: string | undefined,
): Promise<Omit<Reply, 'result'> | undefined> {
  const [found] = await context.database.query<{ turn: number }>(
    `select s.turn from pawl.model_steps s
     where s.tenant = $1 and s.run_key = $2 and s.result->'final'->>'isValid' = 'true'
       and s.turn >= coalesce(
         (select m.consumed_turn from pawl.messages m
          where m.tenant = $1 and m.run_key = $2 and m.id = $3),
         case when $3::text is null then 0 end)
     order by s.turn limit 1`,
    [context.tenant, runKey, messageId ?? null],
  );
  if (!found) return undefined;
  const entries = await readTranscript(context, runKey, found.turn);
  const answer = entries.findLast(({ role }) => role === 'assistant');
  return { runKey, turn: found.turn, text: wordsOf((answer?.parts ?? []) as unknown as Part[]) };
}

/** Ends a session when everything that was said is answered: it is then `completed`. */
export async function endSession(
  context: ClientContext,
  typed: string,
  { by = context.requester }: ControlOptions = {},
): Promise<ControlAnswer> {
  const { runKey, workflowId } = await requireSession(context, typed, 'end');
  await context.database.query(
    `insert into pawl.controls as c (tenant, run_key, ended_at, ended_by)
     values ($1, $2, clock_timestamp(), $3)
     on conflict (tenant, run_key) do update
       set ended_at = excluded.ended_at, ended_by = excluded.ended_by where c.ended_at is null`,
    [context.tenant, runKey, by],
  );
  const signal = { name: 'steered', message: { v: 1, message: 'ended' } } as const;
  return { runKey, wake: await context.temporal.wake(workflowId, signal) };
}

async function requireSession(
  context: ClientContext,
  typed: string,
  wish: string,
): Promise<RunView> {
  const run = await requireOpenRun(context, typed, wish);
  if (!run.isSession) throw new NotASessionError(run.runKey);
  return run;
}
