// What a run may expect of its ledger, and the refusal when an older one was restored: nothing is asked or sent on it.
import { ApplicationFailure } from '@temporalio/common';
import { FailureType } from '../../domain/rules/failure.ts';
import type { Transaction } from './database.ts';

/** How far a run has come by its own history. */
export interface SeenByRun {
  readonly tenant: string;
  readonly runKey: string;
  readonly rootKey: string;
  /** Answers of the model. */
  readonly turns: number;
  /** The highest sequence; absent in activities of builds that did not pass it. */
  readonly seq: number | undefined;
}

/** How far the ledger has come with a run. */
export interface HeldByLedger {
  readonly opened: boolean;
  /** Answers of the model; a fork begins behind the turns that it has from its source. */
  readonly turn: number;
  readonly seq: number;
}

/** Throws `Ledger.RolledBack` when the ledger holds less of the run than it has seen. Inside the caller's transaction. */
export async function requireCurrentLedger(tx: Transaction, seen: SeenByRun): Promise<void> {
  const { rows } = await tx.query<{ turn: number; opened: boolean; seq: number }>(
    `select greatest(r.turn, (r.forked_from->>'turn')::integer - 1) as turn,
       r.agent_hash is not null as opened, coalesce(s.seq, 0) as seq
     from pawl.runs r
     left join pawl.run_seqs s on s.tenant = r.tenant and s.root_key = $3
     where r.tenant = $1 and r.run_key = $2`,
    [seen.tenant, seen.runKey, seen.rootKey],
  );
  requireHeld(rows[0], seen);
}

/** The same of what was read already. */
export function requireHeld(
  held: HeldByLedger | undefined,
  seen: Pick<SeenByRun, 'turns' | 'seq'>,
): void {
  if (!held?.opened) throw rolledBack('the ledger does not know it');
  if (held.turn < seen.turns) {
    throw rolledBack(
      `it has seen ${seen.turns} answers of the model, the ledger holds ${held.turn}`,
    );
  }
  if (held.seq < (seen.seq ?? 0)) {
    throw rolledBack(`it has seen sequence ${seen.seq ?? 0}, the ledger holds ${held.seq}`);
  }
}

/** Not retried: the run is parked until a human has put the newer ledger back. */
export function rolledBack(what: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The ledger is older than this run: ${what}. Nothing was sent. ` +
      'Restore the newer ledger, or settle by hand (docs/errors.md).',
    FailureType.LedgerRolledBack,
  );
}
