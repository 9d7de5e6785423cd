// What a policy is asked and answers, and what an approval is still worth at the send. No policy engine here.
import type { Contract } from './contract.ts';
import type { Json } from './json.ts';
import type { Amount } from './money.ts';

/** The three answers of a policy. */
export const PolicyVerdictKind = {
  Permit: 'permit',
  Approve: 'approve',
  Forbid: 'forbid',
} as const;
export type PolicyVerdictKind = (typeof PolicyVerdictKind)[keyof typeof PolicyVerdictKind];

/** One proposed tool call, as a policy sees it. */
export interface PolicyRequest {
  readonly tenant: string;
  readonly agent: string;
  readonly tool: string;
  readonly contract: Contract;
  readonly arguments: Json;
  /** The money that the call moves; absent when the tool declares none. */
  readonly amount?: Amount | undefined;
  readonly runKey: string;
  /** True once the arguments may derive from an untrusted source. */
  readonly isTainted: boolean;
  /** Who started the run; absent for an unattended one. */
  readonly requester?: string | undefined;
}

export interface PolicyVerdict {
  readonly kind: PolicyVerdictKind;
  /** Id of the rule that decided; `pawl:…` for built-in ones. */
  readonly rule: string;
  /** Words that an approval must meet, as in `finance four-eyes`; absent: any approver. Only for `approve`. */
  readonly requirement?: string | undefined;
  /** Why, for the approver or the model. */
  readonly message?: string | undefined;
}

/** The rule id of the policy that holds when the agent names no policy file. */
export const DEFAULT_RULE = 'pawl:default';

/** The built-in policy: reads are permitted, every effect needs an approval. */
export function defaultVerdict(contract: Contract): PolicyVerdict {
  if (contract === 'read') return { kind: 'permit', rule: DEFAULT_RULE };
  const message = 'the agent has no policy file, so every effect needs an approval';
  return { kind: 'approve', rule: DEFAULT_RULE, message };
}

/**
 * True when whoever met `given` also meets `needed`: every word of `needed` is one of `given`.
 * Two requirements that cannot be compared are not weaker: the answer fails closed.
 */
export function isSameOrWeaker(needed: string | undefined, given: string | undefined): boolean {
  const held = new Set(toWords(given));
  return toWords(needed).every((word) => held.has(word));
}

/** A decision `approve` that the ledger holds for exactly this call. */
export interface GivenApproval {
  /** The requirement that it was given under; absent: any approver. */
  readonly requirement?: string | undefined;
}

/** What the policy's answer at the send means for a call that may have been approved before. */
export type SendVerdict =
  | { readonly kind: 'go'; readonly rule: string }
  /** No approval yet, or the policy has become stricter since: ask (again). */
  | { readonly kind: 'ask'; readonly rule: string; readonly requirement?: string | undefined }
  | { readonly kind: 'stop'; readonly rule: string; readonly message: string };

/** Same or weaker requirement goes, a stricter one asks again, forbid stops (design, section 7). */
export function verdictAtSend(
  now: PolicyVerdict,
  approval: GivenApproval | undefined,
): SendVerdict {
  const { kind, rule, requirement } = now;
  if (kind === 'permit') return { kind: 'go', rule };
  if (kind === 'forbid') return { kind: 'stop', rule, message: stopMessage(now, approval) };
  const isMet = approval !== undefined && isSameOrWeaker(requirement, approval.requirement);
  return isMet ? { kind: 'go', rule } : { kind: 'ask', rule, requirement };
}

function stopMessage(verdict: PolicyVerdict, approval: GivenApproval | undefined): string {
  const why = verdict.message ? `: ${verdict.message}` : '';
  const what = approval ? 'approved, then forbidden' : 'forbidden';
  return `${what} by rule ${verdict.rule}${why}`;
}

function toWords(requirement: string | undefined): string[] {
  return (requirement ?? '').split(/\s+/).filter((word) => word.length > 0);
}
