// What the model is told about the last turn's calls, in call order: read from the ledger, not from history.
import { type EffectStatus, isSettled } from '../../domain/rules/effect.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { Part } from '../../domain/rules/transcript.ts';
import { appendFacts, readEffect } from '../ledger/append-facts.ts';
import type { Transaction } from '../ledger/database.ts';
import type { TranscriptEntry } from '../transcripts/transcript.ts';

/** A call of the turn before, with its effect as it stands. */
export interface CallView {
  readonly tool: string;
  readonly providerCallId: string;
  readonly effectId: string | null;
  /** Of a call without an effect. */
  readonly result: StoredResult | null;
  /** Null where the ledger has lost it, and of a call without one. */
  readonly effect: EffectView | null;
}

interface EffectView {
  readonly status: EffectStatus;
  readonly sends: number;
  readonly code: string | null;
  readonly reason: string | null;
  readonly output: Json;
}

/** Results of reads and refusals, as `pawl.calls.result` keeps them. */
export type StoredResult =
  | { readonly ok: true; readonly output: Json }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** The calls of the turn before turn `$3` of run `$2` of tenant `$1` in generation `$4`, as one JSON array. */
export const CALLS = `
  select json_agg(json_build_object(
      'tool', k.tool, 'providerCallId', k.provider_call_id, 'effectId', k.effect_id, 'result', k.result,
      'effect', case when e.id is not null then json_build_object(
        'status', e.status, 'sends', e.sends, 'code', e.code, 'reason', e.reason, 'output', e.output) end)
    order by k.call::integer)
  from pawl.calls k
  left join pawl.effects e on e.tenant = k.tenant and e.id = k.effect_id
  where k.tenant = $1 and k.run_key = $2 and k.turn = $3::integer - 1 and k.generation = $4`;

/** Whether some call may still change: it is looked at again, under its lock. */
export function hasOpenCalls(calls: readonly CallView[]): boolean {
  return calls.some(({ effect }) => effect !== null && !isSettled(effect.status));
}

/** Locks what may still change; what was never sent is withdrawn: it is `skipped` from now on. */
export async function skipUnsent(
  tx: Transaction,
  tenant: string,
  calls: readonly CallView[],
): Promise<void> {
  for (const { effectId } of calls) {
    if (effectId === null) continue;
    const found = await readEffect(tx, tenant, effectId, 'for update');
    if (found?.state.status !== 'intended') continue;
    const message = 'not sent, because an earlier call of the same answer was not settled';
    await appendFacts(tx, tenant, effectId, [
      { fact: { kind: 'withdrawn', code: 'skipped', message } },
    ]);
  }
}

/** The tool results of a turn. */
export function toToolResults(calls: readonly CallView[]): readonly TranscriptEntry[] {
  return calls.map((call) => {
    const { content, isError } = resultOf(call);
    const { tool: name, providerCallId: id } = call;
    const part: Part = { kind: 'tool-result', id, name, content, isError };
    return { role: 'tool', source: `tool:${name}`, parts: [part] };
  });
}

interface ToolResult {
  readonly content: Json;
  readonly isError: boolean;
}

function resultOf({ effectId, effect, result }: CallView): ToolResult {
  if (effectId === null) return storedResult(result);
  if (effect) return effectResult(effect);
  return { content: { error: 'unknown', message: 'the ledger lost this call' }, isError: true };
}

function storedResult(stored: StoredResult | null): ToolResult {
  if (!stored)
    return { content: { error: 'skipped', message: 'this call was not made' }, isError: true };
  if (stored.ok) return { content: stored.output, isError: false };
  return { content: { error: stored.code, message: stored.message }, isError: true };
}

function effectResult({ status, sends, code, reason, output }: EffectView): ToolResult {
  if (status !== 'applied') {
    const what = isSettled(status)
      ? (reason ?? '')
      : 'it is not known whether this happened; do not repeat it';
    return { content: { error: code ?? status, message: what }, isError: true };
  }
  if (sends > 0) return { content: output, isError: false };
  const note = 'this had been done before with the same identity; nothing was sent again';
  return { content: { alreadyApplied: true, note, output }, isError: false };
}
