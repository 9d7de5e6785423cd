// The gate before a first send: control, identity, policy and approval, in this order; everything fails closed. An effect that
// nobody has looked at goes another way (`send-unlooked.ts`).
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import type { Json } from '../../domain/rules/json.ts';
import { stoppedBy } from '../../domain/rules/permit.ts';
import { type PolicyVerdict, verdictAtSend } from '../../domain/rules/policy.ts';
import type {
  ApprovalStanding,
  BeginAnswer,
  EffectRecord,
  Warrant,
} from '../ledger/effect-ledger.ts';

/** The requirement of an approval that lets a second effect of one identity pass, with other arguments. */
export const SAME_INTENTION = 'same-intention';

/** What a run's policy and approvals mean at the send; absent for effects of plain workflows. */
export interface Authority {
  /** Evaluated again at the send: this evaluation is the authority. */
  evaluate(record: EffectRecord): Promise<PolicyVerdict>;
  /** Asks a human; returns the approval to wait for. */
  ask(record: EffectRecord, rule: string, requirement: string): Promise<Approval>;
  /** Hash of the policy that `evaluate` asks. */
  readonly policyHash?: () => string;
  /** What an approval must have been bound to. */
  readonly toolPin: string;
}

export interface Approval {
  readonly id: string;
  readonly expiresAtMs: number;
}

export type GateAnswer =
  | { readonly kind: 'go'; readonly warrant: Warrant; readonly ignoresIdentity: boolean }
  | { readonly kind: 'paused' }
  | { readonly kind: 'already-applied'; readonly by: string; readonly output: Json }
  | { readonly kind: 'blocked'; readonly by: string; readonly status: string }
  | { readonly kind: 'withdraw'; readonly code: string; readonly message: string }
  | { readonly kind: 'wait-for-approval'; readonly outcome: EffectOutcome };

/** May this effect be sent for the first time, now? */
export async function passGate(begin: BeginAnswer, authority?: Authority): Promise<GateAnswer> {
  const { record, control, identity } = begin;
  const stop = stoppedBy(control, record);
  if (stop === 'cancelled') {
    return {
      kind: 'withdraw',
      code: 'cancelled',
      message: 'the run was cancelled before this was sent',
    };
  }
  if (stop === 'paused') return { kind: 'paused' };
  if (identity.kind === 'already-applied') return identity;
  if (identity.kind === 'blocked') return identity;
  const no = refusalOf(begin.decision);
  if (no) return no;
  const approval = begin.decision && validApproval(begin, authority?.toolPin);
  const meantTwice = approval?.requirement.split(/\s+/).includes(SAME_INTENTION) ?? false;
  if (identity.kind === 'other-arguments' && !meantTwice) {
    if (!authority) {
      const message = `the same intention was applied with other arguments by ${identity.by}`;
      return { kind: 'withdraw', code: 'identity_conflict', message };
    }
    return askFor(begin, authority, `identity:${identity.by}`, SAME_INTENTION);
  }
  if (!authority) {
    const rule = record.compensates === null ? 'pawl:workflow' : 'pawl:compensation';
    return { kind: 'go', warrant: { rule }, ignoresIdentity: false };
  }
  const now = await authority.evaluate(record);
  const verdict = verdictAtSend(now, approval ?? undefined);
  if (verdict.kind === 'stop')
    return { kind: 'withdraw', code: 'forbidden', message: verdict.message };
  if (verdict.kind === 'ask') {
    const needed = verdict.requirement ?? 'any approver';
    // Only the newest approval counts: it has to say both, or the two would be asked for in turn for ever.
    const requirement = meantTwice ? `${SAME_INTENTION} ${needed}` : needed;
    return askFor(begin, authority, verdict.rule, requirement);
  }
  const isAsked = now.kind === 'approve' || meantTwice;
  const warrant = toWarrant(authority, now, isAsked ? approval : null);
  return { kind: 'go', warrant, ignoresIdentity: meantTwice };
}

/** What is kept of the policy's answer with the permit. */
export function toWarrant(
  { policyHash }: Authority,
  { rule }: PolicyVerdict,
  approval: ApprovalStanding | null = null,
): Warrant {
  return {
    rule,
    ...(policyHash ? { policy: policyHash() } : {}),
    ...(approval ? { approval: approval.id } : {}),
  };
}

/** A human's no, or a yes that never came. */
function refusalOf(decision: ApprovalStanding | null): GateAnswer | undefined {
  if (decision?.decision !== 'deny') return undefined;
  const why = decision.reason ? `: ${decision.reason}` : '';
  return {
    kind: 'withdraw',
    code: 'denied',
    message: `denied by ${decision.approver ?? 'an approver'}${why}`,
  };
}

/** The approval, when a human gave it, in time, for exactly this tool and these arguments. */
function validApproval(begin: BeginAnswer, toolPin: string | undefined): ApprovalStanding | null {
  const { decision, record } = begin;
  if (!decision || decision.decision !== 'approve' || !decision.isBound) return null;
  if (decision.fingerprint !== record.fingerprint) return null;
  if (toolPin !== undefined && decision.toolPin !== toolPin) return null;
  return (decision.decidedAtMs ?? Infinity) <= decision.expiresAtMs ? decision : null;
}

/** Waits for the approval that is open already, asks anew when its decision no longer fits, or reports its expiry. */
async function askFor(
  begin: BeginAnswer,
  authority: Authority,
  rule: string,
  requirement: string,
): Promise<GateAnswer> {
  const { decision, record, nowMs } = begin;
  const isOpen = decision !== null && decision.decision === null;
  if (isOpen && decision.requirement === requirement) {
    if (nowMs >= decision.expiresAtMs) {
      return {
        kind: 'withdraw',
        code: 'expired',
        message: `nobody decided on ${decision.id} in time`,
      };
    }
    const approval = { id: decision.id, expiresAtMs: decision.expiresAtMs };
    return { kind: 'wait-for-approval', outcome: { kind: 'awaiting_approval', approval } };
  }
  const approval = await authority.ask(record, rule, requirement);
  return { kind: 'wait-for-approval', outcome: { kind: 'awaiting_approval', approval } };
}
