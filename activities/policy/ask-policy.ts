// A policy asked about a call: what it throws is a no that names its cause, but for a policy that cannot be had now.
import type { PolicyRequest, PolicyVerdict } from '../../domain/rules/policy.ts';
import { member, messageOfThrown } from '../../domain/rules/thrown.ts';
import type { Policy } from './policy.ts';

/** Throws a `PolicyUnavailableError` alone: asked again with the same call, everything else would end the same. */
export async function askPolicy(policy: Policy, request: PolicyRequest): Promise<PolicyVerdict> {
  try {
    return await policy.evaluate(request);
  } catch (error) {
    // Read by its name: `instanceof` throws at a proxy that refuses to be looked at.
    if (member(error, 'name') === 'PolicyUnavailableError') throw error;
    const message = `the policy cannot judge this call: ${messageOfThrown(error)}`;
    return { kind: 'forbid', rule: 'pawl:policy-failed', message };
  }
}
