// The one transaction at the end of a model step: answer, transcript, calls, intents, approvals and usage, or nothing.
import type { ModelStepResult } from '../../domain/rules/run.ts';
import { insertIntents } from '../ledger/postgres-effect-ledger.ts';
import type { Transaction } from '../ledger/database.ts';
import { requireCurrentLedger } from '../ledger/rolled-back.ts';
import { toStorable } from '../ledger/storable.ts';
import { appendTranscript } from '../transcripts/transcript.ts';
import type { RegisteredAgent } from './agent-registry.ts';
import { insertApproval } from './approvals.ts';
import type { ModelCall } from './call-model.ts';
import type { FreshEntries } from './fresh-entries.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { Proposal } from './propose-call.ts';
import type { RunDeps } from './run-deps.ts';

export interface ModelStepRows {
  readonly input: ModelStepInput;
  readonly registered: RegisteredAgent;
  readonly call: ModelCall;
  readonly fresh: FreshEntries;
  readonly proposals: readonly Proposal[];
  readonly result: ModelStepResult;
  readonly requester: string;
}

/** Stores the step and returns what is stored: of two attempts at the same step the first one counts. */
export function storeModelStep(deps: RunDeps, rows: ModelStepRows): Promise<ModelStepResult> {
  const { tenant, rootKey, turn, generation } = rows.input.address;
  const { runKey, seq } = rows.input;
  return deps.database.transaction(async (tx) => {
    // The run's row is the lock of its transcript.
    await tx.query('select 1 from pawl.runs where tenant = $1 and run_key = $2 for update', [
      tenant,
      runKey,
    ]);
    // The model takes its time: a ledger may have been restored meanwhile.
    await requireCurrentLedger(tx, { tenant, runKey, rootKey, turns: turn - 1, seq });
    const { rowCount } = await insertStep(tx, rows);
    if (!rowCount) {
      const { rows: found } = await tx.query<{ result: ModelStepResult }>(
        `select result from pawl.model_steps
         where tenant = $1 and run_key = $2 and turn = $3 and generation = $4`,
        [tenant, runKey, turn, generation],
      );
      return found[0]?.result ?? rows.result;
    }
    await appendTranscript(tx, tenant, runKey, turn, [
      ...rows.fresh.entries,
      { role: 'assistant', source: rows.call.requested, parts: rows.call.answer.parts },
    ]);
    await consumeMessages(tx, rows);
    await insertProposals(tx, deps.keySecret, rows);
    await updateRun(tx, rows);
    return rows.result;
  });
}

function insertStep(
  tx: Transaction,
  { input, call, result }: ModelStepRows,
): Promise<{ rowCount: number | null }> {
  const { answer, usage } = call;
  return tx.query(
    `insert into pawl.model_steps (tenant, run_key, turn, generation, result, model_requested, model_served,
       stop_reason, input_tokens, output_tokens, cached_input_tokens, cost_micro_usd, is_priced, request_id,
       attempt, duration_ms)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
     on conflict do nothing`,
    [
      input.address.tenant,
      input.runKey,
      input.address.turn,
      input.address.generation,
      JSON.stringify(toStorable(result)),
      call.requested,
      answer.servedModel,
      answer.stopReason,
      usage.inputTokens,
      usage.outputTokens,
      usage.cachedInputTokens,
      usage.costMicroUsd,
      call.isPriced,
      answer.requestId ?? null,
      call.attempt,
      call.durationMs,
    ],
  );
}

async function consumeMessages(tx: Transaction, { input, fresh }: ModelStepRows): Promise<void> {
  if (fresh.messageIds.length === 0) return;
  await tx.query(
    `update pawl.messages set consumed_turn = $3
     where tenant = $1 and run_key = $2 and id = any($4)`,
    [input.address.tenant, input.runKey, input.address.turn, fresh.messageIds],
  );
}

async function insertProposals(
  tx: Transaction,
  keySecret: Buffer,
  { input, registered, proposals, requester }: ModelStepRows,
): Promise<void> {
  for (const proposal of proposals) {
    const { intent, approval } = proposal;
    if (intent) await insertIntents(tx, keySecret, [intent]);
    if (intent && approval) {
      await insertApproval(tx, { registered, intent, approval, requester });
    }
    await insertCall(tx, input, registered, proposal);
  }
}

async function insertCall(
  tx: Transaction,
  { address, runKey }: ModelStepInput,
  { policy }: RegisteredAgent,
  { part, call, proposed, refusal, intent, approval }: Proposal,
): Promise<void> {
  const result = refusal ? JSON.stringify(toStorable({ ok: false, ...refusal })) : null;
  const ended = refusal ? (proposed.verdict === 'forbid' ? 'forbidden' : 'invalid') : null;
  await tx.query(
    `insert into pawl.calls (tenant, run_key, turn, generation, call, tool, provider_call_id, arguments, verdict,
       rule, policy_hash, message, summary, effect_id, approval_id, ended, result, ended_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
       case when $16::text is null then null else clock_timestamp() end)`,
    [
      address.tenant,
      runKey,
      address.turn,
      address.generation,
      call,
      part.name,
      part.id,
      JSON.stringify(toStorable(part.malformed ?? part.arguments)),
      proposed.verdict,
      proposed.rule,
      policy.hash,
      toStorable(refusal?.message ?? null),
      toStorable(proposed.summary),
      intent?.id ?? null,
      approval?.id ?? null,
      ended,
      result,
    ],
  );
}

async function updateRun(
  tx: Transaction,
  { input, call: { usage } }: ModelStepRows,
): Promise<void> {
  await tx.query(
    `update pawl.runs set turn = $3, input_tokens = input_tokens + $4, output_tokens = output_tokens + $5,
       cached_input_tokens = cached_input_tokens + $6, cost_micro_usd = cost_micro_usd + $7,
       updated_at = clock_timestamp()
     where tenant = $1 and run_key = $2`,
    [
      input.address.tenant,
      input.runKey,
      input.address.turn,
      usage.inputTokens,
      usage.outputTokens,
      usage.cachedInputTokens,
      usage.costMicroUsd,
    ],
  );
}
