// Reads an approval with its decision: the rows are the authority, whatever a signal said.
import { createHash } from 'node:crypto';
import type { Transaction } from './database.ts';
import type { ApprovalStanding, EffectRecord } from './effect-ledger.ts';

interface StandingRow {
  id: string;
  fingerprint: string;
  tool_pin: string;
  requirement: string;
  nonce: string;
  expires_at: Date;
  decision: 'approve' | 'deny' | null;
  decided_at: Date | null;
  approver: string | null;
  reason: string | null;
  binding: string | null;
}

/** The newest approval of an effect, or null when none was asked for. */
export async function readApprovalStanding(
  tx: Transaction,
  record: EffectRecord,
): Promise<ApprovalStanding | null> {
  const { rows } = await tx.query<StandingRow>(
    `select a.id, a.fingerprint, a.tool_pin, a.requirement, a.nonce, a.expires_at,
            d.decision, d.decided_at, d.approver, d.reason, d.binding
     from pawl.approvals a
     left join pawl.decisions d on d.tenant = a.tenant and d.approval_id = a.id
     where a.tenant = $1 and a.effect_id = $2 order by a.created_at desc limit 1`,
    [record.tenant, record.id],
  );
  const [row] = rows;
  if (!row) return null;
  return {
    id: row.id,
    fingerprint: row.fingerprint,
    toolPin: row.tool_pin,
    requirement: row.requirement,
    expiresAtMs: row.expires_at.getTime(),
    decision: row.decision,
    decidedAtMs: row.decided_at?.getTime() ?? null,
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
