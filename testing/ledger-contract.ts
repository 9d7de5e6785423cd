// The ledger's conformance suite behind a door that does not need Jest: this package entry is loaded elsewhere, too.
import type { LedgerUnderTest } from './effect-ledger-fixture.ts';

/**
 * Declares, at the top of a Jest test file, the cases that every storage of effects must pass:
 * `await effectLedgerContract('mine', createLedger)`.
 */
export async function effectLedgerContract(
  name: string,
  createLedger: () => Promise<LedgerUnderTest>,
): Promise<void> {
  const suite = await import('./effect-ledger-contract.ts');
  suite.effectLedgerContract(name, createLedger);
}
