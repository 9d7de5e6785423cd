// What the tests of the effect rules share: one fact of every kind, and random ones.
import fc from 'fast-check';
import type { EffectState, Fact, FactKind } from '../../domain/rules/effect.ts';

/** One fact of every kind; the compiler notices a kind that is missing. */
export const FACTS: { readonly [K in FactKind]: Extract<Fact, { kind: K }> } = {
  intended: { kind: 'intended' },
  dispatched: { kind: 'dispatched' },
  not_sent: { kind: 'not_sent', reason: 'ECONNREFUSED' },
  ambiguous: { kind: 'ambiguous', reason: 'reset' },
  pending: { kind: 'pending', reference: 'job_1', withinMs: 60_000 },
  applied: { kind: 'applied', source: 'response', output: { id: 'tr_1' } },
  refused: { kind: 'refused', source: 'response', code: 'card_declined', message: 'declined' },
  probed_absent: { kind: 'probed_absent' },
  probed_unclear: { kind: 'probed_unclear', reason: 'HTTP 503' },
  doubted: { kind: 'doubted', reason: 'nobody knows' },
  withdrawn: { kind: 'withdrawn', code: 'cancelled', message: 'the run was cancelled' },
};

/** Any fact. */
export const anyFact: fc.Arbitrary<Fact> = fc.constantFrom(...Object.values(FACTS));

/** Any fact that the ledger may append in `state`: a dispatch is a permit, and a settled effect gets none. */
export function isPossible(state: EffectState, fact: Fact): boolean {
  const isSettled = state.status === 'applied' || state.status === 'refused';
  return !(fact.kind === 'dispatched' && isSettled);
}
