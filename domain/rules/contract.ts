// Derives the contract of a tool from what its receiver offers: the one place where capability becomes promise.

/** What Pawl promises after a crash or an ambiguous answer (design, section 4). */
export const Contract = {
  Read: 'read',
  Transactional: 'transactional',
  Keyed: 'keyed',
  Reconcilable: 'reconcilable',
  Once: 'once',
} as const;
export type Contract = (typeof Contract)[keyof typeof Contract];

/** What the user states about the receiver; nothing of it is a promise by itself. */
export interface Capability {
  readonly isRead: boolean;
  readonly isTransactional: boolean;
  /** How long the receiver honours an idempotency key, in milliseconds; absent: it does not. */
  readonly keyRetentionMs?: number | undefined;
  readonly hasProbe: boolean;
}

/** The strongest contract that a capability allows; a key beats a probe, because it needs no waiting. */
export function deriveContract(capability: Capability): Contract {
  if (capability.isRead) return Contract.Read;
  if (capability.isTransactional) return Contract.Transactional;
  if (capability.keyRetentionMs !== undefined) return Contract.Keyed;
  if (capability.hasProbe) return Contract.Reconcilable;
  return Contract.Once;
}
