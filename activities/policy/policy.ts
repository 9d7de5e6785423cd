// The port to the policy engine, and its one error. Every caller fails closed: no verdict, no effect.
import type { PolicyRequest, PolicyVerdict } from '../../domain/rules/policy.ts';

export interface Policy {
  /** SHA-256 of the policy text, recorded with every verdict; `pawl:default` for the built-in policy. */
  readonly hash: string;
  /** The verdict; throws a `PolicyUnavailableError` when there is none. */
  evaluate(request: PolicyRequest): Promise<PolicyVerdict>;
}

/** No verdict could be had; crosses Temporal as `Policy.Unavailable`. The message is for the user. */
export class PolicyUnavailableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PolicyUnavailableError';
  }
}
