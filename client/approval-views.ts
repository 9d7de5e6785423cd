// How approvals are read: what is asked, by whom, until when, and what was decided.
import { createHash } from 'node:crypto';
import type { Json } from '../domain/rules/json.ts';
import type { Amount } from '../domain/rules/money.ts';
import type { ClientContext } from './context.ts';
import { behind, createStatement, orderBy, type PageOptions, type PageOrder } from './pages.ts';

/**
 * The approvals of each effect `e`, with their decisions. Each join by its index, row by row: planned as sets they read
 * both tables from end to end, or one run's approvals once for each of them.
 */
const OF_EFFECT = `
  join lateral (
    select p.*, p.id = (select n.id from pawl.approvals n where n.tenant = e.tenant and n.effect_id = e.id
      order by n.created_at desc, n.id desc limit 1) as is_newest
    from pawl.approvals p where p.tenant = e.tenant and p.effect_id = e.id offset 0
  ) p on true
  left join lateral (
    select d.* from pawl.decisions d where d.tenant = p.tenant and d.approval_id = p.id limit 1
  ) d on true`;

/** Waits for a human: undecided, not expired, the newest of its effect, which is not sent. */
const IS_PENDING = `(e.status = 'intended' and p.is_newest and d.id is null and p.expires_at > clock_timestamp())`;

/** How many wait for a human in the run of alias `r`: through the effects that are not sent, of which there are few. */
export const PENDING_COUNT = `(
  select count(*) from pawl.effects e ${OF_EFFECT}
  where e.tenant = r.tenant and e.run_key = r.run_key and r.finished_at is null and ${IS_PENDING}
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

const columns = (effects: string): string => `
  select p.id, p.run_key as "runKey", p.workflow_id as "workflowId", p.turn, p.call,
    e.short_id as effect, e.status as "effectStatus", p.agent, p.tool, p.summary,
    p.arguments, p.amount_minor as "amountMinor", p.currency, p.rule, p.requirement,
    p.policy_hash as "policyHash", p.requester, p.created_at as "createdAt", p.expires_at as "expiresAt",
    p.fingerprint, p.tool_pin as "toolPin", p.nonce,
    d.id as "decisionId", d.decision, d.approver, d.reason, d.decided_at as "decidedAt",
    (${IS_PENDING} and r.finished_at is null) as "isPending",
    p.expires_at <= clock_timestamp() as "isExpired"
  from ${effects} ${OF_EFFECT}
  left join lateral (
    select r.* from pawl.runs r where r.tenant = p.tenant and r.run_key = p.run_key limit 1
  ) r on true`;

export interface ApprovalFilter extends PageOptions {
  /** The last so many, in the same order; instead of `limit`. */
  readonly last?: number | undefined;
  readonly runKey?: string | undefined;
  readonly effectId?: string | undefined;
  /** Only those that wait for a human. @default false */
  readonly isPending?: boolean | undefined;
}

/** The effect of an approval is as old as its first question: who was asked first stands on top. */
const ORDER: PageOrder = {
  kind: 'approval',
  from: `from pawl.approvals p join pawl.effects e on e.tenant = p.tenant and e.id = p.effect_id
    where p.tenant = $1 and p.id = $2`,
  columns: [
    ['e.created_at', 'timestamptz'],
    ['e.id', 'text'],
    ['p.created_at', 'timestamptz'],
  ],
  direction: 'asc',
};

/** Approvals, oldest first: the one that waits longest stands on top. @default limit 1000 */
export async function listApprovals(
  context: ClientContext,
  { runKey, effectId, isPending = false, limit = 1_000, after, last }: ApprovalFilter = {},
): Promise<ApprovalView[]> {
  const statement = createStatement(context.tenant);
  const { $, values } = statement;
  const conditions = [
    'e.tenant = $1',
    ...(runKey === undefined ? [] : [`e.run_key = ${$(runKey)}`]),
    ...(effectId === undefined ? [] : [`e.id = ${$(effectId)}`]),
    ...(isPending ? [`e.status = 'intended'`] : []),
  ];
  const isBehind = await behind(context, ORDER, after, statement);
  const isReversed = last !== undefined;
  const way = isReversed ? 'desc' : 'asc';
  // In its order already: what is behind the page is not looked at.
  const effects = `(select * from pawl.effects e where ${conditions.join(' and ')}
    order by e.created_at ${way}, e.id ${way} offset 0) e`;
  const isShown = isPending ? `r.finished_at is null and ${IS_PENDING}` : 'true';
  const rows = await context.database.query<ApprovalRow>(
    `${columns(effects)} where ${isShown}${isBehind}${orderBy(ORDER, isReversed)} limit ${$(last ?? limit)}`,
    values,
  );
  return (last === undefined ? rows : rows.reverse()).map(toApprovalView);
}

/** One approval by its full id. */
export async function findApproval(
  { database, tenant }: ClientContext,
  id: string,
): Promise<ApprovalView | undefined> {
  const effect = `(
    select e.* from pawl.approvals q join pawl.effects e on e.tenant = q.tenant and e.id = q.effect_id
    where q.tenant = $1 and q.id = $2) e`;
  const rows = await database.query<ApprovalRow>(`${columns(effect)} where p.id = $2`, [
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
