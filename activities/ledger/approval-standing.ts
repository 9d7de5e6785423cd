// Reads an approval with its decision: the rows are the authority, whatever a signal said.
import { createHash } from 'node:crypto';
import type { ApprovalStanding } from './effect-ledger.ts';

/** An approval with its decision, as `APPROVAL` asks for it; times are epoch milliseconds. */
export interface StandingRow {
  id: string;
  fingerprint: string;
  tool_pin: string;
  requirement: string;
  nonce: string;
  expires_at: number;
  decision: 'approve' | 'deny' | null;
  decided_at: number | null;
  approver: string | null;
  reason: string | null;
  binding: string | null;
}

/** The newest approval of an effect `e` as one JSON column; null when none was asked for. */
export const APPROVAL = `(select to_jsonb(p) from (
  select a.id, a.fingerprint, a.tool_pin, a.requirement, a.nonce, ${epochMs('a.expires_at')} as expires_at,
    d.decision, ${epochMs('d.decided_at')} as decided_at, d.approver, d.reason, d.binding
  from pawl.approvals a
  left join pawl.decisions d on d.tenant = a.tenant and d.approval_id = a.id
  where a.tenant = e.tenant and a.effect_id = e.id order by a.created_at desc limit 1) p)`;

function epochMs(column: string): string {
  return `floor(extract(epoch from ${column}) * 1000)::bigint`;
}

export function toApprovalStanding(row: StandingRow): ApprovalStanding {
  return {
    id: row.id,
    fingerprint: row.fingerprint,
    toolPin: row.tool_pin,
    requirement: row.requirement,
    expiresAtMs: row.expires_at,
    decision: row.decision,
    decidedAtMs: row.decided_at,
    approver: row.approver,
    reason: row.reason,
    isBound:
      row.binding === approvalBinding([row.fingerprint, row.tool_pin, row.requirement, row.nonce]),
  };
}

/** What a decision is about: the hash that the approver's row must carry. */
export function approvalBinding(content: readonly [string, string, string, string]): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
