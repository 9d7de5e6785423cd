// Writes what a human is asked; reading the answer is the ledger's, giving it is the client's.
import { jsonBody, textBody } from '../encryption/sealed-body.ts';
import type { Transaction } from '../ledger/database.ts';
import type { EffectIntent } from '../ledger/effect-ledger.ts';
import type { RegisteredAgent } from './agent-registry.ts';
import type { ApprovalDraft } from './propose-call.ts';

export interface ApprovalRows {
  readonly registered: RegisteredAgent;
  readonly intent: EffectIntent;
  readonly approval: ApprovalDraft;
  readonly requester: string;
}

/** Inserts an approval; returns when it expires, by the database's clock (epoch milliseconds). */
export async function insertApproval(
  tx: Transaction,
  { registered, intent, approval, requester }: ApprovalRows,
): Promise<number> {
  const { rows } = await tx.query<{ expires_at: Date }>(
    `insert into pawl.approvals (tenant, id, run_key, workflow_id, turn, call, effect_id, agent, tool, tool_pin,
       fingerprint, arguments, summary, amount_minor, currency, rule, requirement, policy_hash, requester, nonce,
       expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
       clock_timestamp() + $21 * interval '1 millisecond')
     returning expires_at`,
    [
      intent.tenant,
      approval.id,
      intent.runKey,
      intent.workflowId ?? intent.runKey,
      intent.turn,
      intent.call,
      intent.id,
      registered.agent.name,
      intent.tool,
      approval.toolPin,
      intent.fingerprint,
      jsonBody(intent, 'approvals.arguments', intent.arguments),
      textBody(intent, 'approvals.summary', intent.summary),
      intent.amount?.minor ?? null,
      intent.amount?.currency ?? null,
      approval.rule,
      approval.requirement,
      registered.policy.hash,
      requester,
      approval.nonce,
      approval.expiresInMs,
    ],
  );
  return rows[0]?.expires_at.getTime() ?? 0;
}
