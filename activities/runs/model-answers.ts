// Answers of models in the ledger, from their arrival until they are judged: stored and counted once, whatever they hold.
import { randomUUID } from 'node:crypto';
import type { RunUsage } from '../../domain/rules/run.ts';
import type { ModelAnswer } from '../../domain/rules/transcript.ts';
import { type BodyOwner, textBody } from '../encryption/sealed-body.ts';
import type { Statements, Transaction } from '../ledger/database.ts';
import { type Parameters, parameters } from '../ledger/parameters.ts';
import { toStorable } from '../ledger/storable.ts';
import { readAnswer, type StorableAnswer } from './storable-answer.ts';
import type { ModelStepInput } from './model-step-input.ts';

/** What was asked: a turn's answer, or the summary before it. */
export type AnswerKind = 'turn' | 'compaction';

/** One request to a model that has cost something. */
export interface PaidCall {
  /** `provider/model` as asked for. */
  readonly requested: string;
  readonly usage: RunUsage;
  /** False when the price table does not know the model: the cost then counts as 0. */
  readonly isPriced: boolean;
  readonly attempt: number;
  readonly durationMs: number;
}

/** An answer with what it cost. */
export interface ModelCall extends PaidCall {
  /** Of its row, as long as it is not judged. */
  readonly id: string;
  readonly answer: ModelAnswer;
}

/** An answer as it came, with what it answers. */
export interface ArrivedAnswer {
  readonly input: ModelStepInput;
  readonly kind: AnswerKind;
  /** What people had said when it was asked for: what they say later, it has not seen. @default [] */
  readonly messageIds?: readonly string[];
  readonly answer: StorableAnswer;
  readonly paid: PaidCall;
  /** The same for every try to store it. */
  readonly id: string;
}

/** Stores an answer and counts it, in one statement that no flush waits for: a lost one is asked for again. */
export async function storeAnswer(
  statements: Statements,
  { input, kind, messageIds, answer: { answer, text }, paid, id }: ArrivedAnswer,
): Promise<ModelCall> {
  await insert(statements, input, kind, paid, { id, text, problem: null, answer, messageIds });
  return { ...paid, id, answer };
}

/** Counts a request that was paid for and brought no answer. */
export async function storeSpent(
  statements: Statements,
  input: ModelStepInput,
  kind: AnswerKind,
  paid: PaidCall,
  problem: string,
): Promise<void> {
  await insert(statements, input, kind, paid, { id: randomUUID(), text: null, problem });
}

interface AnswerRow {
  readonly id: string;
  readonly text: string | null;
  readonly problem: string | null;
  readonly answer?: ModelAnswer;
  readonly messageIds?: readonly string[] | undefined;
}

async function insert(
  statements: Statements,
  input: ModelStepInput,
  kind: AnswerKind,
  { requested, usage, isPriced, attempt, durationMs }: PaidCall,
  { id, text, problem, answer, messageIds = [] }: AnswerRow,
): Promise<void> {
  const { $, values } = parameters();
  const owner = ownerOf(input);
  const { turn, generation } = input.address;
  const columns = {
    tenant: owner.tenant,
    run_key: owner.runKey,
    turn,
    generation,
    kind,
    id,
    answer: textBody(owner, 'model_answers.answer', text),
    problem: textBody(owner, 'model_answers.problem', toStorable(problem)),
    model_requested: requested,
    model_served: toStorable(answer?.servedModel ?? ''),
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    cached_input_tokens: usage.cachedInputTokens,
    cost_micro_usd: usage.costMicroUsd,
    is_priced: isPriced,
    request_id: toStorable(answer?.requestId ?? null),
    attempt,
    duration_ms: durationMs,
    message_ids: messageIds,
  };
  const names = Object.keys(columns).join(', ');
  // A frozen attempt may wake up behind an erasure: what the answer cost is counted, its words are not kept.
  const isErased = `exists (select 1 from pawl.runs e where e.tenant = ${$(owner.tenant)}
    and e.run_key = ${$(owner.runKey)} and e.erased_at is not null)`;
  const places = Object.entries(columns).map(([name, value]) =>
    name === 'answer' ? `case when not ${isErased} then ${$(value)} end` : $(value),
  );
  const statement = `with fast as materialized (select set_config('synchronous_commit', 'off', true) as set),
    arrived as (
      insert into pawl.model_answers (${names})
      select ${places.join(', ')} from fast on conflict do nothing
      returning tenant, run_key, input_tokens, output_tokens, cached_input_tokens, cost_micro_usd)
    update pawl.runs r set model_wait = null, input_tokens = r.input_tokens + a.input_tokens,
      output_tokens = r.output_tokens + a.output_tokens,
      cached_input_tokens = r.cached_input_tokens + a.cached_input_tokens,
      cost_micro_usd = r.cost_micro_usd + a.cost_micro_usd, updated_at = clock_timestamp()
    from arrived a where r.tenant = a.tenant and r.run_key = a.run_key`;
  await statements.query(statement, values, { isPrepared: true });
}

function ownerOf({ address: { tenant }, runKey }: ModelStepInput): BodyOwner {
  return { tenant, runKey };
}

/** A row of `model_answers` as the columns of `ANSWER_COLUMNS`. */
export interface AnswerColumns {
  answer_id: string;
  answer: string;
  message_ids: string[];
  model_requested: string;
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens: number;
  cost_micro_usd: number;
  is_priced: boolean;
  attempt: number;
  duration_ms: number;
}

/** Of the table as `a`. */
export const ANSWER_COLUMNS = `a.id as answer_id, a.answer, a.message_ids, a.model_requested, a.input_tokens, a.output_tokens,
  a.cached_input_tokens, a.cost_micro_usd, a.is_priced, a.attempt, a.duration_ms`;

/** The first answer to what was asked that nobody has judged: of two attempts that paid, only one is used. */
export function arrivedAnswer(kind: AnswerKind): string {
  return `select ${ANSWER_COLUMNS} from pawl.model_answers a
    where a.tenant = $1 and a.run_key = $2 and a.turn = $3 and a.generation = $4 and a.kind = '${kind}'
      and a.answer is not null order by a.created_at, a.id limit 1`;
}

/** What was paid for the same and is not used, as a JSON object of numbers. */
export function unusedUsage(kind: AnswerKind): string {
  return `select json_build_object('inputTokens', coalesce(sum(u.input_tokens), 0)::float8,
      'outputTokens', coalesce(sum(u.output_tokens), 0)::float8,
      'cachedInputTokens', coalesce(sum(u.cached_input_tokens), 0)::float8,
      'costMicroUsd', coalesce(sum(u.cost_micro_usd), 0)::float8) from pawl.model_answers u
    where u.tenant = $1 and u.run_key = $2 and u.turn = $3 and u.generation = $4 and u.kind = '${kind}'
      and u.answer is null`;
}

export function toModelCall(row: AnswerColumns): ModelCall {
  return {
    id: row.answer_id,
    answer: readAnswer(row.answer),
    requested: row.model_requested,
    usage: {
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      cachedInputTokens: row.cached_input_tokens,
      costMicroUsd: row.cost_micro_usd,
    },
    isPriced: row.is_priced,
    attempt: row.attempt,
    durationMs: row.duration_ms,
  };
}

/** A CTE: the answer is judged, and what follows from it holds all of it. */
export function forgetAnswer($: Parameters['$'], input: ModelStepInput, id: string): string {
  const { turn, generation, tenant } = input.address;
  return `judged as (
    delete from pawl.model_answers where tenant = ${$(tenant)} and run_key = ${$(input.runKey)}
      and turn = ${$(turn)} and generation = ${$(generation)} and id = ${$(id)})`;
}

/** The answer was paid for, and is not used. */
export async function markUnused(
  statements: Statements,
  input: ModelStepInput,
  id: string,
  problem: string,
): Promise<void> {
  const owner = ownerOf(input);
  const { turn, generation } = input.address;
  await statements.query(
    `update pawl.model_answers set answer = null, problem = $6
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4 and id = $5 and answer is not null`,
    [
      ...[owner.tenant, owner.runKey, turn, generation, id],
      textBody(owner, 'model_answers.problem', toStorable(problem)),
    ],
  );
}

/** The run has ended: nobody judges what came too late. */
export async function forgetAnswers(tx: Transaction, owner: BodyOwner): Promise<void> {
  await tx.query(
    `update pawl.model_answers set answer = null, problem = $3
     where tenant = $1 and run_key = $2 and answer is not null`,
    [
      owner.tenant,
      owner.runKey,
      textBody(
        owner,
        'model_answers.problem',
        'it came when another answer was used, or the run had ended',
      ),
    ],
  );
}

export function sumUsage(one: RunUsage, other: RunUsage): RunUsage {
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    cachedInputTokens: one.cachedInputTokens + other.cachedInputTokens,
    costMicroUsd: one.costMicroUsd + other.costMicroUsd,
  };
}
