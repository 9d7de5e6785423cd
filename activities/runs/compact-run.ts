// The compaction activity: asks the model for a summary of what lies back, and shows it that in place of the turns.
import { Context } from '@temporalio/activity';
import type { CompactionResult, RunUsage } from '../../domain/rules/run.ts';
import type { Message, ModelAnswer, Part } from '../../domain/rules/transcript.ts';
import { inside, type Transaction } from '../ledger/database.ts';
import { parameters } from '../ledger/parameters.ts';
import { requireCurrentLedger } from '../ledger/rolled-back.ts';
import { COMPACTION_SOURCE, type ContextMessage, readContext } from '../transcripts/context.ts';
import { appendTranscript } from '../transcripts/transcript.ts';
import { type Asked, callModel } from './call-model.ts';
import { textOf } from './final-answer.ts';
import {
  type AnswerColumns,
  arrivedAnswer,
  forgetAnswer,
  markUnused,
  type ModelCall,
  sumUsage,
  toModelCall,
  unusedUsage,
} from './model-answers.ts';
import { readDescription, readFlags, toRequest } from './model-request.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { RunDeps } from './run-deps.ts';

export interface CompactInput extends ModelStepInput {
  /** The last so many turns stay as they are, word for word. */
  readonly keepTurns: number;
  /** `provider/model` that summarises; absent: the agent's own, whose cache knows most of the request. */
  readonly model?: string | undefined;
}

const ASK =
  'Summarise this conversation so far for yourself: you will go on with it, and see only your summary and the last ' +
  'turns. Keep the task, what was asked and decided, names, numbers, ids and what is still open. Call no tool; answer ' +
  'with the summary only.';

/** Requests that are paid for before a run goes on without a summary. */
const TRIES_MAX = 3;

/**
 * Compacts, unless this turn's compaction is stored already: a retry or a reset makes no wire request. What is no summary
 * never takes the place of the turns: it is asked for again, and in the end they are kept.
 */
export async function compactRun(deps: RunDeps, input: CompactInput): Promise<CompactionResult> {
  const standing = await readStanding(deps, input);
  if (standing.stored) {
    return { kind: 'compacted', usage: sumUsage(standing.stored, standing.unused) };
  }
  const flags = await readFlags(deps, input);
  if (flags.cancelled) return { kind: 'cancelled' };
  if (flags.paused) return { kind: 'paused' };
  const context = await readContext(deps.database, input.address.tenant, input.runKey);
  const old = olderThan(context, input.keepTurns);
  const throughSeq = Math.max(0, ...old.map(({ seq }) => seq));
  // The input and an earlier summary alone are not shortened by another summary.
  if (!old.some(({ role }) => role === 'assistant')) return { kind: 'kept' };
  return summarise(deps, input, { old, throughSeq }, standing);
}

interface Shortened {
  readonly old: readonly ContextMessage[];
  readonly throughSeq: number;
}

async function summarise(
  deps: RunDeps,
  input: CompactInput,
  shortened: Shortened,
  { arrived, tries, unused }: Standing,
): Promise<CompactionResult> {
  if (tries >= TRIES_MAX) return { kind: 'kept', usage: unused };
  const asked: Asked = arrived
    ? { kind: 'answered', call: arrived }
    : await ask(deps, input, shortened.old, tries);
  // The turn itself waits for the model: only that wait is shown.
  if (asked.kind === 'waiting') return { kind: 'kept', usage: unused };
  const { call } = asked;
  const problem = problemOf(call.answer);
  if (problem !== undefined) {
    await markUnused(deps.database, input, call.id, problem);
    const next = { arrived: undefined, tries: tries + 1, unused: sumUsage(unused, call.usage) };
    return summarise(deps, input, shortened, { ...next, stored: undefined });
  }
  await store(deps, input, call, shortened.throughSeq);
  await deps.crash('after-model-commit', input.agent);
  return { kind: 'compacted', usage: sumUsage(call.usage, unused) };
}

async function ask(
  deps: RunDeps,
  input: CompactInput,
  old: readonly ContextMessage[],
  answeredBefore: number,
): Promise<Asked> {
  const description = await readDescription(deps, input);
  const ask: Message = { role: 'user', parts: [{ kind: 'text', text: ASK }] };
  const model = input.model ? { primary: input.model, fallbacks: [] } : description.model;
  const request = toRequest(description, [...old, ask]);
  const question = { input, kind: 'compaction', answeredBefore, model, request } as const;
  return callModel(deps, question, Context.current());
}

/** Why an answer is no summary; undefined when it is one. */
function problemOf({ stopReason, parts, problem }: ModelAnswer): string | undefined {
  if (stopReason === 'unusable') return `the summary cannot be read: ${problem ?? ''}`;
  if (parts.some(({ kind }) => kind === 'tool-call')) return 'a call in place of a summary';
  if (stopReason !== 'end') return `no whole summary: ${stopReason}`;
  return textOf(parts).trim() === '' ? 'an empty summary' : undefined;
}

/** What lies before the last turns: never between a call and its result, which its next answer follows. */
function olderThan(
  context: readonly ContextMessage[],
  keepTurns: number,
): readonly ContextMessage[] {
  const answers = context.filter(({ role }) => role === 'assistant');
  const firstKept = answers[Math.max(0, answers.length - keepTurns)];
  const end = firstKept ? context.indexOf(firstKept) : context.length;
  return context.slice(0, end);
}

interface Standing {
  /** What the compaction cost, when it is stored. */
  readonly stored: RunUsage | undefined;
  /** An answer that nobody has judged. */
  readonly arrived: ModelCall | undefined;
  /** Requests that were paid for and brought no summary, and what they cost. */
  readonly tries: number;
  readonly unused: RunUsage;
}

interface StandingRow extends Partial<AnswerColumns> {
  stored: RunUsage | null;
  answer_id: string;
  tries: number;
  unused: RunUsage;
}

async function readStanding(deps: RunDeps, { address, runKey }: CompactInput): Promise<Standing> {
  const [row] = await deps.database.query<StandingRow>(
    `select p.*, (${unusedUsage('compaction')}) as unused,
       (select count(*) from pawl.model_answers u where u.tenant = $1 and u.run_key = $2 and u.turn = $3
          and u.generation = $4 and u.kind = 'compaction' and u.answer is null) as tries,
       (select json_build_object('inputTokens', c.input_tokens, 'outputTokens', c.output_tokens,
           'cachedInputTokens', c.cached_input_tokens, 'costMicroUsd', c.cost_micro_usd)
        from pawl.compactions c
        where c.tenant = $1 and c.run_key = $2 and c.turn = $3 and c.generation = $4) as stored
     from (values (1)) one left join lateral (${arrivedAnswer('compaction')}) p on true`,
    [address.tenant, runKey, address.turn, address.generation],
  );
  if (!row) throw new Error('a look at a compaction has one row');
  return {
    stored: row.stored ?? undefined,
    arrived: row.answer === null ? undefined : toModelCall(row as AnswerColumns),
    tries: row.tries,
    unused: row.unused,
  };
}

/** Of two attempts at the same compaction the first one counts. */
function store(
  deps: RunDeps,
  input: CompactInput,
  call: ModelCall,
  throughSeq: number,
): Promise<void> {
  const { tenant, rootKey, turn, generation } = input.address;
  const { runKey, seq } = input;
  return deps.database.transaction(async (tx) => {
    await tx.query('select 1 from pawl.runs where tenant = $1 and run_key = $2 for update', [
      tenant,
      runKey,
    ]);
    await requireCurrentLedger(tx, { tenant, runKey, rootKey, turns: turn - 1, seq });
    const { rows } = await tx.query(
      'select 1 from pawl.compactions where tenant = $1 and run_key = $2 and turn = $3 and generation = $4',
      [tenant, runKey, turn, generation],
    );
    if (rows.length > 0) return markUnused(inside(tx), input, call.id, 'another attempt was first');
    const parts = [{ kind: 'text', text: await summaryOf(tx, input, call) }] satisfies Part[];
    const entry = { role: 'user', source: COMPACTION_SOURCE, parts } as const;
    await appendTranscript(tx, tenant, runKey, turn, [entry]);
    await insertCompaction(tx, input, call, throughSeq);
    const { $, values } = parameters();
    await tx.query(`with ${forgetAnswer($, input, call.id)} select 1`, [...values]);
  });
}

/** The model's summary, and behind it what has been done: in the ledger's words, which no summary can lose. */
async function summaryOf(tx: Transaction, input: CompactInput, call: ModelCall): Promise<string> {
  const effects = await listEffects(tx, input);
  const told = textOf(call.answer.parts).trim();
  const head = `What has happened so far, summarised:\n${told}`;
  if (effects.length === 0) return head;
  return `${head}\n\nWhat has been done, from the ledger:\n${effects.join('\n')}`;
}

/** The latest in full, the others counted. */
const EFFECTS_SHOWN = 200;

async function listEffects(
  tx: Transaction,
  { address, runKey }: CompactInput,
): Promise<readonly string[]> {
  const { rows } = await tx.query<{ summary: string; status: string; short_id: string }>(
    `select summary, status, short_id from pawl.effects where tenant = $1 and run_key = $2
     order by turn desc, length(call) desc, call desc`,
    [address.tenant, runKey],
  );
  const shown = rows
    .slice(0, EFFECTS_SHOWN)
    .reverse()
    .map(({ summary, status, short_id }) => `- ${short_id} ${status}: ${summary}`);
  const left = rows.length - shown.length;
  return left > 0 ? [`- ${left} earlier effects, all recorded in the ledger`, ...shown] : shown;
}

async function insertCompaction(
  tx: Transaction,
  { address, runKey }: CompactInput,
  { answer, usage, requested, isPriced, attempt, durationMs }: ModelCall,
  throughSeq: number,
): Promise<void> {
  await tx.query(
    `insert into pawl.compactions (tenant, run_key, turn, generation, through_seq, summary_seq, model_requested,
       model_served, input_tokens, output_tokens, cached_input_tokens, cost_micro_usd, is_priced, request_id, attempt,
       duration_ms)
     select $1, $2, $3, $4, $5, max(seq), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
     from pawl.transcript where tenant = $1 and run_key = $2`,
    [
      address.tenant,
      runKey,
      address.turn,
      address.generation,
      throughSeq,
      requested,
      answer.servedModel,
      usage.inputTokens,
      usage.outputTokens,
      usage.cachedInputTokens,
      usage.costMicroUsd,
      isPriced,
      answer.requestId ?? null,
      attempt,
      durationMs,
    ],
  );
}
