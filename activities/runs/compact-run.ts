// The compaction activity: asks the model for a summary of what lies back, and shows it that in place of the turns.
import { Context } from '@temporalio/activity';
import type { CompactionResult, RunUsage } from '../../domain/rules/run.ts';
import type { Message, Part } from '../../domain/rules/transcript.ts';
import type { Transaction } from '../ledger/database.ts';
import { requireCurrentLedger } from '../ledger/rolled-back.ts';
import { COMPACTION_SOURCE, type ContextMessage, readContext } from '../transcripts/context.ts';
import { appendTranscript } from '../transcripts/transcript.ts';
import { callModel, type ModelCall } from './call-model.ts';
import { textOf } from './final-answer.ts';
import { callKey, readDescription, readFlags, toRequest } from './model-request.ts';
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

/** Compacts, unless this turn's compaction is stored already: a retry or a reset makes no wire request. */
export async function compactRun(deps: RunDeps, input: CompactInput): Promise<CompactionResult> {
  const stored = await readStored(deps, input);
  if (stored) return { kind: 'compacted', usage: stored };
  const flags = await readFlags(deps, input);
  if (flags.cancelled) return { kind: 'cancelled' };
  if (flags.paused) return { kind: 'paused' };
  const context = await readContext(deps.database, input.address.tenant, input.runKey);
  const old = olderThan(context, input.keepTurns);
  const throughSeq = Math.max(0, ...old.map(({ seq }) => seq));
  // The input and an earlier summary alone are not shortened by another summary.
  if (!old.some(({ role }) => role === 'assistant')) return { kind: 'kept' };
  const description = await readDescription(deps, input);
  const ask: Message = { role: 'user', parts: [{ kind: 'text', text: ASK }] };
  const model = input.model ? { primary: input.model, fallbacks: [] } : description.model;
  const request = toRequest(description, [...old, ask]);
  const call = await callModel(deps, model, request, callKey('compact', input), Context.current());
  const usage = await store(deps, input, call, throughSeq);
  await deps.crash('after-model-commit', input.agent);
  return { kind: 'compacted', usage };
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

async function readStored(
  deps: RunDeps,
  { address, runKey }: CompactInput,
): Promise<RunUsage | undefined> {
  const [row] = await deps.database.query<RunUsage>(
    `select input_tokens as "inputTokens", output_tokens as "outputTokens",
       cached_input_tokens as "cachedInputTokens", cost_micro_usd as "costMicroUsd"
     from pawl.compactions where tenant = $1 and run_key = $2 and turn = $3 and generation = $4`,
    [address.tenant, runKey, address.turn, address.generation],
  );
  return row;
}

/** Of two attempts at the same compaction the first one counts; both were paid, and only one can be told. */
function store(
  deps: RunDeps,
  input: CompactInput,
  call: ModelCall,
  throughSeq: number,
): Promise<RunUsage> {
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
    if (rows.length > 0) return call.usage;
    const parts = [{ kind: 'text', text: await summaryOf(tx, input, call) }] satisfies Part[];
    const entry = { role: 'user', source: COMPACTION_SOURCE, parts } as const;
    await appendTranscript(tx, tenant, runKey, turn, [entry]);
    await insertCompaction(tx, input, call, throughSeq);
    await addUsage(tx, input, call.usage);
    return call.usage;
  });
}

/** The model's summary, and behind it what has been done: in the ledger's words, which no summary can lose. */
async function summaryOf(tx: Transaction, input: CompactInput, call: ModelCall): Promise<string> {
  const effects = await listEffects(tx, input);
  const told = textOf(call.answer.parts).trim();
  const head = `What has happened so far, summarised:\n${told || '(no summary was given)'}`;
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

async function addUsage(
  tx: Transaction,
  { address, runKey }: CompactInput,
  usage: RunUsage,
): Promise<void> {
  await tx.query(
    `update pawl.runs set input_tokens = input_tokens + $3, output_tokens = output_tokens + $4,
       cached_input_tokens = cached_input_tokens + $5, cost_micro_usd = cost_micro_usd + $6,
       updated_at = clock_timestamp()
     where tenant = $1 and run_key = $2`,
    [
      address.tenant,
      runKey,
      usage.inputTokens,
      usage.outputTokens,
      usage.cachedInputTokens,
      usage.costMicroUsd,
    ],
  );
}
