// What a system's runs came to: counted from the banks' own receipts, compared with what the system says of itself.
import type { ReceiptLine } from '../receivers/index.ts';
import type { Fault, Plan, PlannedInvoice, PlannedRun } from './plan.ts';

/** What the system said at the end; a reference that it says nothing about is in neither. */
export interface Statement {
  readonly completedBatches: ReadonlySet<string>;
  /** The transfer id by reference. */
  readonly paid: ReadonlyMap<string, string>;
  /** References that it shows to a human as doubtful. */
  readonly doubts: ReadonlySet<string>;
}

export interface Verdict {
  readonly runs: number;
  readonly completed: number;
  readonly invoices: number;
  readonly receipts: number;
  /** Receipts beyond the first of an invoice. */
  readonly duplicates: number;
  /** Invoices without a receipt. */
  readonly lost: number;
  /** The bank and the system disagree, and no human is told. */
  readonly silentDoubts: number;
  /** Shown to a human. */
  readonly surfacedDoubts: number;
  /** By bank and by what happened to the payment. */
  readonly duplicatesBy: Readonly<Record<string, number>>;
}

/** Counts. The receipts are those of all banks. */
export function judge(plan: Plan, receipts: readonly ReceiptLine[], said: Statement): Verdict {
  const invoices = plan.runs.flatMap((run) => run.invoices.map((invoice) => ({ run, invoice })));
  const duplicatesBy: Record<string, number> = {};
  let [lost, silentDoubts] = [0, 0];
  for (const { run, invoice } of invoices) {
    const done = receipts.filter(({ reference }) => reference === invoice.reference);
    if (done.length === 0) lost += 1;
    if (isSilentDoubt(invoice.reference, done, said)) silentDoubts += 1;
    if (done.length <= 1) continue;
    const cause = causeOf(run, invoice);
    duplicatesBy[cause] = (duplicatesBy[cause] ?? 0) + done.length - 1;
  }
  return {
    runs: plan.runs.length,
    completed: plan.runs.filter(({ batch }) => said.completedBatches.has(batch)).length,
    invoices: invoices.length,
    receipts: receipts.length,
    duplicates: Object.values(duplicatesBy).reduce((sum, count) => sum + count, 0),
    lost,
    silentDoubts,
    surfacedDoubts: said.doubts.size,
    duplicatesBy,
  };
}

function isSilentDoubt(reference: string, done: readonly ReceiptLine[], said: Statement): boolean {
  if (said.doubts.has(reference)) return false;
  const transferId = said.paid.get(reference);
  if (transferId === undefined) return done.length > 0;
  return !done.some(({ receiptId }) => receiptId === transferId);
}

const WORDS: Readonly<Record<Fault, string>> = {
  none: 'no fault of its own',
  'killed-after-commit': 'worker killed after the commit',
  'answer-never-comes': 'answer never came',
  'connection-reset': 'connection reset after the commit',
};

/** Where a run was reset, that is what the duplicates of its payments are put down to. */
function causeOf({ resetAfter }: PlannedRun, { bank, fault }: PlannedInvoice): string {
  return `${bank}: ${resetAfter === undefined ? WORDS[fault] : 'the workflow was reset'}`;
}
