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
  /** Receipts that belong to no invoice of any run. */
  readonly strayReceipts: number;
  /** Receipts of an invoice with another amount, currency or payee than it has. */
  readonly wrongReceipts: number;
  /** Runs that say `completed` and have not exactly one right receipt for each of their invoices. */
  readonly wrongRuns: number;
  /** By bank and by what happened to the payment. */
  readonly duplicatesBy: Readonly<Record<string, number>>;
}

interface Paid {
  readonly run: PlannedRun;
  readonly invoice: PlannedInvoice;
  readonly done: readonly ReceiptLine[];
}

/** Counts. The receipts are those of all banks. */
export function judge(plan: Plan, receipts: readonly ReceiptLine[], said: Statement): Verdict {
  const byReference = groupByReference(receipts);
  const all: readonly Paid[] = plan.runs.flatMap((run) =>
    run.invoices.map((invoice) => ({
      run,
      invoice,
      done: byReference.get(invoice.reference) ?? [],
    })),
  );
  const duplicatesBy = countDuplicates(all);
  const completed = plan.runs.filter(({ batch }) => said.completedBatches.has(batch));
  const known = new Set(all.map(({ invoice }) => invoice.reference));
  return {
    runs: plan.runs.length,
    completed: completed.length,
    invoices: all.length,
    receipts: receipts.length,
    duplicates: Object.values(duplicatesBy).reduce((sum, count) => sum + count, 0),
    lost: all.filter(({ done }) => done.length === 0).length,
    silentDoubts: all.filter((paid) => isSilentDoubt(paid, said)).length,
    surfacedDoubts: said.doubts.size,
    strayReceipts: receipts.filter(({ reference }) => !known.has(reference)).length,
    wrongReceipts: all.flatMap(({ invoice, done }) => done.filter((r) => !isRight(invoice, r)))
      .length,
    wrongRuns: completed.filter((run) => !hasItsEffects(run, all)).length,
    duplicatesBy,
  };
}

function groupByReference(receipts: readonly ReceiptLine[]): ReadonlyMap<string, ReceiptLine[]> {
  const groups = new Map<string, ReceiptLine[]>();
  for (const receipt of receipts) {
    const group = groups.get(receipt.reference);
    if (group) group.push(receipt);
    else groups.set(receipt.reference, [receipt]);
  }
  return groups;
}

function countDuplicates(all: readonly Paid[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { run, invoice, done } of all) {
    if (done.length <= 1) continue;
    const cause = causeOf(run, invoice);
    counts[cause] = (counts[cause] ?? 0) + done.length - 1;
  }
  return counts;
}

function isRight(invoice: PlannedInvoice, receipt: ReceiptLine): boolean {
  return (
    receipt.amountMinor === invoice.amountMinor &&
    receipt.currency === invoice.currency &&
    receipt.details['payee'] === invoice.payee
  );
}

function hasItsEffects(run: PlannedRun, all: readonly Paid[]): boolean {
  return all
    .filter((paid) => paid.run === run)
    .every(({ invoice, done: [first, ...more] }) => {
      return first !== undefined && more.length === 0 && isRight(invoice, first);
    });
}

function isSilentDoubt({ invoice: { reference }, done }: Paid, said: Statement): boolean {
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
  return `${bank}: ${resetAfter === undefined ? WORDS[fault] : 'the run was begun again'}`;
}
