// The rows of pawl.effects and what they become in the engine; the only place that names the columns.
import { type EffectState, type EffectStatus, INTENDED } from '../../domain/rules/effect.ts';
import type { Contract } from '../../domain/rules/contract.ts';
import type { Json } from '../../domain/rules/json.ts';
import { Body, Secret } from '../encryption/sealed-body.ts';
import type { EffectIntent, EffectRecord, FrozenRequest } from './effect-ledger.ts';

export interface EffectRow {
  tenant: string;
  id: string;
  short_id: string;
  run_key: string;
  root_key: string;
  turn: number;
  call: string;
  generation: number;
  workflow_id: string | null;
  tool: string;
  contract: Contract;
  wire_key: string;
  key_retention_ms: number | null;
  has_probe: boolean;
  settle_ms: number | null;
  sends_max: number;
  fingerprint: string;
  arguments: Json;
  summary: string;
  amount_minor: number | null;
  currency: string | null;
  identity_hash: string | null;
  holds_identity: boolean;
  same_as: string | null;
  approval_id: string | null;
  status: EffectStatus;
  sends: number;
  absents: number;
  has_conflict: boolean;
  code: string | null;
  reason: string | null;
  output: Json;
  output_problem: string | null;
  fence: number;
  claim_order: number;
  claimed_by: string | null;
  lease_until: Date | null;
  first_sent_at: Date | null;
  probe_failing_since: Date | null;
  is_pending: boolean;
  receiver_reference: string | null;
  compensates: string | null;
  version: string;
}

/** A stored effect. */
export function toRecord(row: EffectRow): EffectRecord {
  const state: EffectState = {
    status: row.status,
    sends: row.sends,
    absents: row.absents,
    conflict: row.has_conflict,
    ...(row.is_pending ? { isPending: true } : {}),
    ...(row.code === null ? {} : { code: row.code }),
    ...(row.reason === null ? {} : { reason: row.reason }),
  };
  return {
    tenant: row.tenant,
    id: row.id,
    shortId: row.short_id,
    runKey: row.run_key,
    rootKey: row.root_key,
    turn: row.turn,
    call: row.call,
    generation: row.generation,
    workflowId: row.workflow_id,
    tool: row.tool,
    contract: row.contract,
    wireKey: row.wire_key,
    keyRetentionMs: row.key_retention_ms,
    hasProbe: row.has_probe,
    settleMs: row.settle_ms,
    sendsMax: row.sends_max,
    fingerprint: row.fingerprint,
    arguments: row.arguments,
    summary: row.summary,
    amount:
      row.amount_minor === null || row.currency === null
        ? null
        : { minor: row.amount_minor, currency: row.currency },
    identityHash: row.identity_hash,
    approvalId: row.approval_id,
    compensates: row.compensates,
    state,
    output: row.output,
    outputProblem: row.output_problem,
    sameAs: row.same_as,
    reference: row.receiver_reference,
    holdsIdentity: row.holds_identity,
    fence: row.fence,
    claimOrder: row.claim_order,
    claimedBy: row.claimed_by,
    leaseUntilMs: row.lease_until?.getTime() ?? null,
    firstSentAtMs: row.first_sent_at?.getTime() ?? null,
    probeFailingSinceMs: row.probe_failing_since?.getTime() ?? null,
    version: row.version,
  };
}

/** What `toRecord` makes of the row of an intent that was just stored: what is not of the intent is a column's default. */
export function toIntendedRecord(
  intent: EffectIntent,
  wireKey: string,
  version: string,
): EffectRecord {
  return {
    ...intent,
    wireKey,
    version,
    state: INTENDED,
    output: null,
    outputProblem: null,
    sameAs: null,
    reference: null,
    holdsIdentity: false,
    fence: 0,
    claimOrder: 0,
    claimedBy: null,
    leaseUntilMs: null,
    firstSentAtMs: null,
    probeFailingSinceMs: null,
  };
}

const INTENT_COLUMNS = [
  'tenant',
  'id',
  'short_id',
  'run_key',
  'root_key',
  'turn',
  'call',
  'generation',
  'workflow_id',
  'tool',
  'contract',
  'wire_key',
  'key_retention_ms',
  'has_probe',
  'settle_ms',
  'sends_max',
  'fingerprint',
  'arguments',
  'summary',
  'amount_minor',
  'currency',
  'identity_hash',
  'approval_id',
  'compensates',
  'status',
] as const;

/**
 * CTEs `intended` and `said`: the intents that are not there yet, each with its first fact; one that is there stays as
 * it is. `rows` is the place of what `toIntentRows` makes; nothing is written where `condition` does not hold.
 */
export function intend(rows: string, condition = 'true'): string {
  const columns = INTENT_COLUMNS.join(', ');
  // JSON's null would become SQL's.
  const given = columns.replace(' arguments,', " coalesce(arguments, 'null'),");
  return `intended as (
      insert into pawl.effects (${columns})
      select ${given} from jsonb_populate_recordset(null::pawl.effects, ${rows}::jsonb) i
      where ${condition}
      on conflict (tenant, id) do nothing returning ${ROW}),
    said as (
      insert into pawl.effect_facts (tenant, effect_id, ordinal, kind, source)
      select tenant, id, 1, 'intended', 'engine' from intended)`;
}

/** Of a plain workflow's intent: an agent's run has its effects from its model steps, and what undoes them. */
export const NOT_AN_AGENTS = `(i.compensates is not null or not exists (
  select 1 from pawl.runs r where r.tenant = i.tenant and r.run_key = i.run_key))`;

/** There is nothing to seal in no intents. */
const NOBODY = { tenant: '', runKey: '' };

/** Intents as JSON rows of `pawl.effects`. */
export function toIntentRows(
  intents: readonly EffectIntent[],
  wireKeyOf: (effectId: string) => string,
): Body {
  const rows = intents.map((intent) => toIntentRow(intent, wireKeyOf(intent.id)));
  return new Body(intents[0] ?? NOBODY, 'effects.arguments', { kind: 'json', value: rows });
}

function toIntentRow(
  intent: EffectIntent,
  wireKey: string,
): Record<(typeof INTENT_COLUMNS)[number], Json | Secret> {
  return {
    tenant: intent.tenant,
    id: intent.id,
    short_id: intent.shortId,
    run_key: intent.runKey,
    root_key: intent.rootKey,
    turn: intent.turn,
    call: intent.call,
    generation: intent.generation,
    workflow_id: intent.workflowId,
    tool: intent.tool,
    contract: intent.contract,
    wire_key: wireKey,
    key_retention_ms: intent.keyRetentionMs,
    has_probe: intent.hasProbe,
    settle_ms: intent.settleMs,
    sends_max: intent.sendsMax,
    fingerprint: intent.fingerprint,
    arguments: new Secret('effects.arguments', intent.arguments, intent),
    summary: new Secret('effects.summary', intent.summary, intent),
    amount_minor: intent.amount?.minor ?? null,
    currency: intent.amount?.currency ?? null,
    identity_hash: intent.identityHash,
    approval_id: intent.approvalId,
    compensates: intent.compensates,
    status: 'intended',
  };
}

const STATE_COLUMNS = [
  'holds_identity',
  'same_as',
  'sends',
  'absents',
  'has_conflict',
  'code',
  'reason',
  'output',
  'output_problem',
  'fence',
  'claim_order',
  'claimed_by',
  'lease_until',
  'first_sent_at',
  'probe_failing_since',
  'is_pending',
  'receiver_reference',
] as const;

/** The columns of an `EffectRow`, and which version of the row it is: its xmin changes with every change of it. */
export const ROW = [...INTENT_COLUMNS, ...STATE_COLUMNS, 'xmin::text as version'].join(', ');

export interface RequestRow {
  method: string;
  url: string;
  headers: [string, string][];
  body: Buffer;
}

/** The stored bytes of a request. */
export function toFrozenRequest(row: RequestRow): FrozenRequest {
  return { method: row.method, url: row.url, headers: row.headers, body: row.body };
}
