// The rows of pawl.effects and what they become in the engine; the only place that names the columns.
import type { EffectState, EffectStatus } from '../../domain/rules/effect.ts';
import type { Contract } from '../../domain/rules/contract.ts';
import type { Json } from '../../domain/rules/json.ts';
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
  is_pending: boolean;
  receiver_reference: string | null;
  compensates: string | null;
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

/** `insert … on conflict do nothing`: an intent that is there already stays as it is. */
export const INSERT_INTENT = `insert into pawl.effects (${INTENT_COLUMNS.join(', ')})
  values (${INTENT_COLUMNS.map((_, index) => `$${index + 1}`).join(', ')})
  on conflict (tenant, id) do nothing`;

/** The values of `INSERT_INTENT`. */
export function toIntentValues(intent: EffectIntent, wireKey: string): unknown[] {
  return [
    intent.tenant,
    intent.id,
    intent.shortId,
    intent.runKey,
    intent.rootKey,
    intent.turn,
    intent.call,
    intent.generation,
    intent.workflowId,
    intent.tool,
    intent.contract,
    wireKey,
    intent.keyRetentionMs,
    intent.hasProbe,
    intent.sendsMax,
    intent.fingerprint,
    JSON.stringify(intent.arguments),
    intent.summary,
    intent.amount?.minor ?? null,
    intent.amount?.currency ?? null,
    intent.identityHash,
    intent.approvalId,
    intent.compensates,
    'intended',
  ];
}

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
