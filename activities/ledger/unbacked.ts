// The refusal of what Temporal asked for and no row of the ledger backs.
import { ApplicationFailure } from '@temporalio/common';
import { FailureType } from '../../domain/rules/failure.ts';

/**
 * `step`: a step of a tool or under a key that plain workflows may not use. `effect`: an effect that is not the one its
 * run's model step stored. `run`: an activity of a run that is not that run's. `undo`: a compensation that nobody asked
 * for. `outcome`: an outcome that no worker of this ledger has signed.
 */
export type Unbacked = 'step' | 'effect' | 'run' | 'undo' | 'outcome';

/** Never tried again: Temporal would ask for the same. */
export function unbacked(what: Unbacked, why: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: FailureType.AuthorityRefused,
    message: `The ledger does not back this: ${why}. Nothing was sent or stored (docs/errors.md).`,
    nonRetryable: true,
    details: [what, why],
  });
}
