// How approvals are read: what is asked, by whom, until when, and what was decided.
import { createHash } from 'node:crypto';
import type { Json } from '../domain/rules/json.ts';
import type { Amount } from '../domain/rules/money.ts';
import type { ClientContext } from './context.ts';

/** Waits for a human: undecided, not expired, the newest of its effect, which is not withdrawn. For an alias `p`. */
export const PENDING = `(
  p.expires_at > clock_timestamp()
  and not exists (select 1 from pawl.decisions d where d.tenant = p.tenant and d.approval_id = p.id)
  and not exists (select 1 from pawl.effects w
    where w.tenant = p.tenant and w.id = p.effect_id and w.status <> 'intended')
  and not exists (select 1 from pawl.approvals n
    where n.tenant = p.tenant and n.run_key = p.run_key and n.effect_id = p.effect_id
      and n.created_at > p.created_at)
)`;

export interface DecisionView {
  readonly id: string;
  readonly decision: 'approve' | 'deny';
  readonly approver: string;
  readonly reason: string | null;
  readonly decidedAt: Date;
}

/** What a human is asked, complete: all of it is bound by a decision. */
export interface ApprovalView {
  readonly id: string;
  readonly status: 'pending' | 'approved' | 'denied' | 'expired' | 'obsolete';
  readonly runKey: string;
  readonly workflowId: string;
  readonly turn: number;
  readonly call: string;
  /** Short id of the effect. */
  readonly effect: string;
  readonly effectStatus: string | null;
  readonly agent: string;
  readonly tool: string;
  readonly summary: string;
  readonly arguments: Json;
  readonly amount: Amount | null;
  readonly rule: string;
  /** Words that the approver must meet; empty: any approver. */
  readonly requirement: string;
  readonly policyHash: string;
  readonly requester: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly decision: DecisionView | null;
  /** Hash of what was shown; hand it back with the decision to be sure that nothing changed in between. */
  readonly binding: string;
}

interface ApprovalRow extends Omit<ApprovalView, 'status' | 'binding' | 'amount' | 'decision'> {
  readonly isPending: boolean;
  readonly isExpired: boolean;
  readonly amountMinor: number | null;
  readonly currency: string | null;
  readonly fingerprint: string;
  readonly toolPin: string;
  readonly nonce: string;
  readonly decisionId: string | null;
  readonly decision: 'approve' | 'deny' | null;
  readonly approver: string | null;
  readonly reason: string | null;
  readonly decidedAt: Date | null;
}

const APPROVALS = `
  select p.id, p.run_key as "runKey", p.workflow_id as "workflowId", p.turn, p.call,
    coalesce(e.short_id, p.effect_id) as effect, e.status as "effectStatus", p.agent, p.tool, p.summary,
    p.arguments, p.amount_minor as "amountMinor", p.currency, p.rule, p.requirement,
    p.policy_hash as "policyHash", p.requester, p.created_at as "createdAt", p.expires_at as "expiresAt",
    p.fingerprint, p.tool_pin as "toolPin", p.nonce,
    d.id as "decisionId", d.decision, d.approver, d.reason, d.decided_at as "decidedAt",
    (${PENDING} and r.finished_at is null) as "isPending",
    p.expires_at <= clock_timestamp() as "isExpired"
  from pawl.approvals p
  left join pawl.runs r on r.tenant = p.tenant and r.run_key = p.run_key
  left join pawl.effects e on e.tenant = p.tenant and e.id = p.effect_id
  left join pawl.decisions d on d.tenant = p.tenant and d.approval_id = p.id`;

export interface ApprovalFilter {
  readonly runKey?: string | undefined;
  readonly effectId?: string | undefined;
  readonly isPending?: boolean | undefined;
}

/** Approvals, oldest first: the one that waits longest stands on top. */
export async function listApprovals(
  { database, tenant }: ClientContext,
  { runKey, effectId, isPending }: ApprovalFilter = {},
): Promise<ApprovalView[]> {
  const rows = await database.query<ApprovalRow>(
    `select * from (${APPROVALS} where p.tenant = $1
       and ($2::text is null or p.run_key = $2) and ($3::text is null or p.effect_id = $3)) approvals
     where $4::boolean is null or "isPending" = $4
     order by "createdAt", id`,
    [tenant, runKey ?? null, effectId ?? null, isPending ?? null],
  );
  return rows.map(toApprovalView);
}

/** One approval by its full id. */
export async function findApproval(
  { database, tenant }: ClientContext,
  id: string,
): Promise<ApprovalView | undefined> {
  const rows = await database.query<ApprovalRow>(`${APPROVALS} where p.tenant = $1 and p.id = $2`, [
    tenant,
    id,
  ]);
  return rows[0] && toApprovalView(rows[0]);
}

/** What a decision is bound to; the engine computes the same before it sends. */
export function toBinding(shown: {
  readonly fingerprint: string;
  readonly toolPin: string;
  readonly requirement: string;
  readonly nonce: string;
}): string {
  const content = [shown.fingerprint, shown.toolPin, shown.requirement, shown.nonce];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function toApprovalView(row: ApprovalRow): ApprovalView {
  const { amountMinor, currency, fingerprint, toolPin, nonce, requirement } = row;
  return {
    id: row.id,
    status: toStatus(row),
    runKey: row.runKey,
    workflowId: row.workflowId,
    turn: row.turn,
    call: row.call,
    effect: row.effect,
    effectStatus: row.effectStatus,
    agent: row.agent,
    tool: row.tool,
    summary: row.summary,
    arguments: row.arguments,
    amount: amountMinor !== null && currency !== null ? { minor: amountMinor, currency } : null,
    rule: row.rule,
    requirement,
    policyHash: row.policyHash,
    requester: row.requester,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
    decision: toDecisionView(row),
    binding: toBinding({ fingerprint, toolPin, requirement, nonce }),
  };
}

function toDecisionView(row: ApprovalRow): DecisionView | null {
  const { decisionId: id, decision, approver, reason, decidedAt } = row;
  if (id === null || decision === null || approver === null || decidedAt === null) return null;
  return { id, decision, approver, reason, decidedAt };
}

function toStatus(row: ApprovalRow): ApprovalView['status'] {
  if (row.decision) return row.decision === 'approve' ? 'approved' : 'denied';
  if (row.isPending) return 'pending';
  return row.isExpired ? 'expired' : 'obsolete';
}
