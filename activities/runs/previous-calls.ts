// What the model is told about the last turn's calls, in call order: read from the ledger, not from history.
import { isSettled } from '../../domain/rules/effect.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { Part } from '../../domain/rules/transcript.ts';
import { appendFacts, readEffect } from '../ledger/append-facts.ts';
import type { Transaction } from '../ledger/database.ts';
import type { EffectRecord } from '../ledger/effect-ledger.ts';
import type { TranscriptEntry } from '../transcripts/transcript.ts';

export interface TurnAddress {
  readonly tenant: string;
  readonly runKey: string;
  readonly turn: number;
  readonly generation: number;
}

interface CallRow {
  call: string;
  tool: string;
  provider_call_id: string;
  effect_id: string | null;
  result: Json;
}

/** The tool results of a turn. Calls that were never sent are withdrawn here: they are `skipped` from now on. */
export async function toolResults(
  tx: Transaction,
  { tenant, runKey, turn, generation }: TurnAddress,
): Promise<readonly TranscriptEntry[]> {
  const { rows } = await tx.query<CallRow>(
    `select call, tool, provider_call_id, effect_id, result from pawl.calls
     where tenant = $1 and run_key = $2 and turn = $3 and generation = $4 order by call::integer`,
    [tenant, runKey, turn, generation],
  );
  const entries: TranscriptEntry[] = [];
  for (const row of rows) {
    const { content, isError } =
      row.effect_id === null
        ? storedResult(row.result)
        : await effectResult(tx, tenant, row.effect_id);
    const part: Part = {
      kind: 'tool-result',
      id: row.provider_call_id,
      name: row.tool,
      content,
      isError,
    };
    entries.push({ role: 'tool', source: `tool:${row.tool}`, parts: [part] });
  }
  return entries;
}

interface ToolResult {
  readonly content: Json;
  readonly isError: boolean;
}

/** Results of reads and refusals, as `pawl.calls.result` keeps them. */
export type StoredResult =
  | { readonly ok: true; readonly output: Json }
  | { readonly ok: false; readonly code: string; readonly message: string };

function storedResult(result: Json): ToolResult {
  const stored = result as StoredResult | null;
  if (!stored)
    return { content: { error: 'skipped', message: 'this call was not made' }, isError: true };
  if (stored.ok) return { content: stored.output, isError: false };
  return { content: { error: stored.code, message: stored.message }, isError: true };
}

async function effectResult(tx: Transaction, tenant: string, id: string): Promise<ToolResult> {
  const found = await readEffect(tx, tenant, id, 'for update');
  if (!found)
    return { content: { error: 'unknown', message: 'the ledger lost this call' }, isError: true };
  return toToolResult(found.state.status === 'intended' ? await skip(tx, found) : found);
}

async function skip(tx: Transaction, record: EffectRecord): Promise<EffectRecord> {
  const message = 'not sent, because an earlier call of the same answer was not settled';
  const fact = { kind: 'withdrawn', code: 'skipped', message } as const;
  const { record: skipped } = await appendFacts(tx, record.tenant, record.id, [{ fact }]);
  return skipped;
}

function toToolResult(record: EffectRecord): ToolResult {
  const { status, code = status, reason = '' } = record.state;
  if (status !== 'applied') {
    const what = isSettled(status)
      ? reason
      : 'it is not known whether this happened; do not repeat it';
    return { content: { error: code, message: what }, isError: true };
  }
  if (record.state.sends > 0) return { content: record.output, isError: false };
  const note = 'this had been done before with the same identity; nothing was sent again';
  return { content: { alreadyApplied: true, note, output: record.output }, isError: false };
}
