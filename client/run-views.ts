// How runs are read: the one query that derives a run's status from its rows, and the details of one run.
import { LOCKED_TEXT } from '../activities/encryption/encryption.ts';
import { type EffectStatus, isSettled } from '../domain/rules/effect.ts';
import { endOfRefusal, type RunResult } from '../domain/rules/run.ts';
import type { Json } from '../domain/rules/json.ts';
import { type ApprovalView, listApprovals, PENDING_COUNT } from './approval-views.ts';
import type { ClientContext } from './context.ts';
import { type EffectView, listEffects } from './effect-views.ts';
import { resolveRunKey } from './ids.ts';
import { listUnusedAnswers, type UnusedAnswerView } from './unused-answers.ts';

/** Derived from rows; a finished run has the kind of its result instead, such as `completed`. */
export const RunStatus = {
  Starting: 'starting',
  Running: 'running',
  WaitingApproval: 'waiting_approval',
  /** A session has answered, and its user has said nothing since. */
  WaitingUser: 'waiting_user',
  /** Every model that may be asked wants to be asked later: `modelWait` says when, a resume ends it. */
  WaitingModel: 'waiting_model',
  InDoubt: 'in_doubt',
  Paused: 'paused',
  Cancelling: 'cancelling',
  Stuck: 'stuck',
  /** Finished, and nothing says how. */
  Ended: 'ended',
} as const;
export type RunStatus = (typeof RunStatus)[keyof typeof RunStatus] | RunResult['kind'];

/** One line of `pawl list`. */
export interface RunView {
  readonly runKey: string;
  readonly agent: string;
  readonly status: RunStatus;
  readonly isFinished: boolean;
  readonly turn: number;
  /** Approvals that wait for a human now. */
  readonly pendingApprovals: number;
  /** Effects in doubt, and effects whose facts contradict each other. */
  readonly doubts: number;
  readonly requester: string;
  readonly startKey: string | null;
  readonly workflowId: string;
  readonly isSession: boolean;
  /** Of a sub-agent: the run whose model called it. */
  readonly parentRunKey: string | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly costMicroUsd: number;
  readonly result: RunResult | null;
  readonly stuckCause: Json;
  /** A wait that a model's provider has asked for and that is not over; `until` is an ISO time. */
  readonly modelWait: { readonly until: string; readonly reason: string } | null;
  readonly pausedAt: Date | null;
  readonly pausedBy: string | null;
  readonly cancelledAt: Date | null;
  readonly cancelledBy: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
}

const IS_WAITING = `(r.finished_at is null and (r.model_wait->>'until')::timestamptz > clock_timestamp())`;

// In order of what a human must know first.
/** How a run stands, from its rows: for the aliases of `RUNS`. */
export const STATUS = `case
    when r.finished_at is not null and not g.is_again then coalesce(r.result->>'kind', 'ended')
    when g.is_again then 'starting'
    when c.cancelled_at is not null then 'cancelling'
    when r.stuck_cause is not null then 'stuck'
    when c.paused_at is not null then 'paused'
    when e.open_doubts > 0 then 'in_doubt'
    when a.pending > 0 then 'waiting_approval'
    when r.agent_hash is null then 'starting'
    when ${IS_WAITING} then 'waiting_model'
    when r.is_session and not s.has_words and s.has_answered then 'waiting_user'
    else 'running'
  end`;

/** Runs as they are shown; a condition on alias `r` goes behind it. */
export const RUNS = `
  select r.run_key as "runKey", r.agent,
    ${STATUS} as status,
    r.finished_at is not null and not g.is_again as "isFinished", r.turn,
    a.pending as "pendingApprovals", e.doubts, r.requester, r.start_key as "startKey",
    r.workflow_id as "workflowId", r.is_session as "isSession",
    r.parent_run_key as "parentRunKey", r.input_tokens as "inputTokens", r.output_tokens as "outputTokens",
    r.cached_input_tokens as "cachedInputTokens", r.cost_micro_usd as "costMicroUsd", r.result,
    r.stuck_cause as "stuckCause", case when ${IS_WAITING} then r.model_wait end as "modelWait", c.paused_at as "pausedAt", c.paused_by as "pausedBy",
    c.cancelled_at as "cancelledAt", c.cancelled_by as "cancelledBy", r.created_at as "createdAt",
    r.updated_at as "updatedAt", r.finished_at as "finishedAt"
  from pawl.runs r
  left join lateral (
    select c.* from pawl.controls c where c.tenant = r.tenant and c.run_key = r.run_key limit 1
  ) c on true
  -- Resumed after its end, and not opened again yet.
  cross join lateral (
    select coalesce(r.result->>'kind' = 'terminated' and c.resumed_at > r.finished_at, false) as is_again
  ) g
  cross join lateral (
    select count(*) as doubts, count(*) filter (where f.status = 'in_doubt') as open_doubts
    from pawl.effects f
    where f.tenant = r.tenant and f.run_key = r.run_key and (f.status = 'in_doubt' or f.has_conflict)
  ) e
  cross join lateral (select ${PENDING_COUNT} as pending) a
  cross join lateral (
    select exists (select 1 from pawl.messages m
        where m.tenant = r.tenant and m.run_key = r.run_key and m.consumed_turn is null) as has_words,
      exists (select 1 from pawl.model_steps m where m.tenant = r.tenant and m.run_key = r.run_key
        and m.turn = r.turn and m.result->'final'->>'isValid' = 'true') as has_answered
    where r.is_session
    union all select false, false where not r.is_session
  ) s`;

/** One run by its full key; undefined when there is none. */
export async function findRun(
  { database, tenant }: ClientContext,
  runKey: string,
): Promise<RunView | undefined> {
  const rows = await database.query<RunView>(`${RUNS} where r.tenant = $1 and r.run_key = $2`, [
    tenant,
    runKey,
  ]);
  return rows[0];
}

/** One model call. */
export interface TurnView {
  readonly turn: number;
  readonly generation: number;
  readonly modelRequested: string;
  readonly modelServed: string;
  readonly stopReason: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly costMicroUsd: number;
  /** False when no price is known for the model: the cost is then 0. */
  readonly isPriced: boolean;
  readonly requestId: string | null;
  readonly attempt: number;
  readonly durationMs: number;
  readonly createdAt: Date;
}

/** A summary that took the place of what lay back, before a turn's model call. */
export interface CompactionView extends Omit<TurnView, 'stopReason'> {
  /** The last transcript entry that it stands for. */
  readonly throughSeq: number;
  /** The transcript entry that holds it. */
  readonly summarySeq: number;
}

/** One tool call as the model proposed it. */
export interface CallView {
  readonly turn: number;
  readonly generation: number;
  readonly call: string;
  readonly tool: string;
  readonly arguments: Json;
  readonly verdict: 'permit' | 'approve' | 'forbid' | 'invalid';
  readonly rule: string;
  readonly message: string | null;
  readonly summary: string;
  /** Short id of the effect. */
  readonly effect: string | null;
  readonly approvalId: string | null;
  /** Run key of the sub-agent that it called. */
  readonly child: string | null;
  /** How it ended; null while it is open. */
  readonly ended: string | null;
  readonly result: Json;
  readonly endedAt: Date | null;
}

export interface MessageView {
  readonly id: string;
  readonly author: string;
  readonly text: string;
  readonly createdAt: Date;
  /** The turn that showed it to the model; null while it waits. */
  readonly consumedTurn: number | null;
}

export interface TranscriptEntry {
  readonly seq: number;
  readonly turn: number;
  readonly role: string;
  readonly source: string;
  readonly hash: string;
  /** Null when the body was erased. */
  readonly parts: Json;
}

/** Everything about one run. */
export interface RunDetails {
  readonly run: RunView;
  readonly input: Json;
  readonly output: Json;
  readonly turns: readonly TurnView[];
  readonly compactions: readonly CompactionView[];
  /** Paid for, counted, and not used. */
  readonly unusedAnswers: readonly UnusedAnswerView[];
  readonly calls: readonly CallView[];
  readonly effects: readonly EffectView[];
  /** With their decisions. */
  readonly approvals: readonly ApprovalView[];
  readonly messages: readonly MessageView[];
  /** Lists that hold only their last rows, by name: the others are had by their own commands, or with a larger `limit`. */
  readonly cut: readonly string[];
  /** Only when asked for. */
  readonly transcript?: readonly TranscriptEntry[];
}

export interface ShowOptions {
  /** Also every message of the run. @default false */
  readonly transcript?: boolean | undefined;
  /** The last so many rows of each list. @default 1_000 */
  readonly limit?: number | undefined;
}

/** Everything about one run, by whatever names it. */
export async function showRun(
  context: ClientContext,
  typed: string,
  { transcript = false, limit = 1_000 }: ShowOptions = {},
): Promise<RunDetails> {
  const runKey = await resolveRunKey(context, typed);
  // One more of each than is shown: whether there are more is known then.
  const last = limit + 1;
  const found = await Promise.all([
    findRun(context, runKey),
    readBody(context, runKey),
    listTurns(context, runKey, last),
    listCompactions(context, runKey),
    listUnusedAnswers(context, runKey, last),
    listCalls(context, runKey, { last }),
    listEffects(context, { runKey, last }),
    listApprovals(context, { runKey, last }),
    listMessages(context, runKey, last),
  ]);
  const [run, body, turns, compactions, unusedAnswers, calls, effects, approvals, messages] = found;
  if (!run) throw new Error(`The run ${runKey} disappeared while it was read`);
  const lists = { turns, unusedAnswers, calls, effects, approvals, messages };
  const cut = Object.entries(lists).flatMap(([name, rows]) => (rows.length > limit ? [name] : []));
  const details = {
    run,
    ...body,
    compactions,
    unusedAnswers: unusedAnswers.slice(-limit),
    turns: turns.slice(-limit),
    calls: calls.slice(-limit),
    effects: effects.slice(-limit),
    approvals: approvals.slice(-limit),
    messages: messages.slice(-limit),
    cut,
  };
  return transcript ? { ...details, transcript: await readTranscript(context, runKey) } : details;
}

/** Input and output: apart from the list, because they can be large. */
export async function readBody(
  { database, tenant }: ClientContext,
  runKey: string,
): Promise<{ input: Json; output: Json }> {
  const [body] = await database.query<{ input: Json; output: Json }>(
    'select input, output from pawl.runs where tenant = $1 and run_key = $2',
    [tenant, runKey],
  );
  return body ?? { input: null, output: null };
}

const MODEL_CALL = `turn, generation, model_requested as "modelRequested", model_served as "modelServed",
       input_tokens as "inputTokens", output_tokens as "outputTokens", cached_input_tokens as "cachedInputTokens",
       cost_micro_usd as "costMicroUsd", is_priced as "isPriced", request_id as "requestId", attempt,
       duration_ms as "durationMs", created_at as "createdAt"`;

/** The model call of one turn. */
export async function findTurn(
  { database, tenant }: ClientContext,
  { runKey, turn, generation }: Pick<EffectView, 'runKey' | 'turn' | 'generation'>,
): Promise<TurnView | undefined> {
  const [row] = await database.query<TurnView>(
    `select ${MODEL_CALL}, stop_reason as "stopReason" from pawl.model_steps
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4`,
    [tenant, runKey, turn, generation],
  );
  return row;
}

/** In order: the last so many. @default all */
export async function listTurns(
  { database, tenant }: ClientContext,
  runKey: string,
  last?: number,
): Promise<TurnView[]> {
  const rows = await database.query<TurnView>(
    `select ${MODEL_CALL}, stop_reason as "stopReason"
     from pawl.model_steps where tenant = $1 and run_key = $2 order by turn desc, generation desc limit $3`,
    [tenant, runKey, last ?? null],
  );
  return rows.reverse();
}

export function listCompactions(
  { database, tenant }: ClientContext,
  runKey: string,
): Promise<CompactionView[]> {
  return database.query<CompactionView>(
    `select ${MODEL_CALL}, through_seq as "throughSeq", summary_seq as "summarySeq"
     from pawl.compactions where tenant = $1 and run_key = $2 order by turn, generation`,
    [tenant, runKey],
  );
}

export interface CallFilter {
  /** The last so many. @default all */
  readonly last?: number | undefined;
  /** Only the one of this effect. */
  readonly of?: Pick<EffectView, 'id' | 'turn' | 'generation'> | undefined;
}

/** Calls in order, each ended as its effect is. */
export async function listCalls(
  { database, tenant }: ClientContext,
  runKey: string,
  { last, of }: CallFilter = {},
): Promise<CallView[]> {
  const rows = await database.query<CallView & EffectEnd>(
    `select c.turn, c.generation, c.call, c.tool, c.arguments, c.verdict, c.rule, c.message, c.summary,
       coalesce(e.short_id, c.effect_id) as effect, c.approval_id as "approvalId", c.child_run_key as child, c.ended, c.result,
       c.ended_at as "endedAt", e.status as "effectStatus", e.code as "effectCode",
       e.updated_at as "effectUpdatedAt"
     from (select * from pawl.calls c
       where c.tenant = $1 and c.run_key = $2${of ? ' and c.effect_id = $4 and c.turn = $5 and c.generation = $6' : ''}
       order by c.turn desc, c.generation desc, length(c.call) desc, c.call desc limit $3) c
     left join lateral (
       select * from pawl.effects e where e.tenant = c.tenant and e.id = c.effect_id limit 1) e on true
     order by c.turn, c.generation, length(c.call), c.call`,
    [tenant, runKey, last ?? null, ...(of ? [of.id, of.turn, of.generation] : [])],
  );
  return rows.map(withEffectEnd);
}

/** What the effect behind a call says of it; null for reads and refusals. */
interface EffectEnd {
  readonly effectStatus: EffectStatus | null;
  readonly effectCode: string | null;
  readonly effectUpdatedAt: Date | null;
}

/** A call that has an effect ends as the effect does. */
function withEffectEnd(row: CallView & EffectEnd): CallView {
  const { effectStatus, effectCode, effectUpdatedAt, ...call } = row;
  if (effectStatus === null || !isSettled(effectStatus)) return call;
  const ended = effectStatus === 'applied' ? 'applied' : endOfRefusal(effectCode ?? '');
  return { ...call, ended, endedAt: effectUpdatedAt };
}

/** In order: the last so many. @default all */
export async function listMessages(
  { database, tenant }: ClientContext,
  runKey: string,
  last?: number,
): Promise<MessageView[]> {
  const rows = await database.query<MessageView>(
    `select id, author, text, created_at as "createdAt", consumed_turn as "consumedTurn"
     from pawl.messages where tenant = $1 and run_key = $2 order by created_at desc, id desc limit $3`,
    [tenant, runKey, last ?? null],
  );
  return rows.reverse();
}

/** The messages of a run in order, a turn's when one is given. */
export async function readTranscript(
  { database, tenant }: ClientContext,
  runKey: string,
  turn?: number,
): Promise<TranscriptEntry[]> {
  const rows = await database.query<Omit<TranscriptEntry, 'parts'> & { parts: string | null }>(
    `select t.seq, t.turn, t.role, t.source, t.hash, b.parts
     from pawl.transcript t
     left join pawl.transcript_bodies b
       on b.tenant = t.tenant and b.run_key = t.run_key and b.seq = t.seq
     where t.tenant = $1 and t.run_key = $2 and ($3::integer is null or t.turn = $3)
     order by t.seq`,
    [tenant, runKey, turn ?? null],
  );
  return rows.map((row) => ({
    ...row,
    parts: row.parts === null ? null : toParts(row.parts),
  }));
}

/** Without keys there is only the word that says so. */
export function toParts(parts: string): Json {
  return parts === LOCKED_TEXT ? parts : (JSON.parse(parts) as Json);
}
