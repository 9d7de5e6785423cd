// The comparison as a table, the changed lines, and what makes it fail.
import { join } from 'node:path';
import Table from 'cli-table3';
import { type ChangedLines, countChangedLinesOfFiles } from './changed-lines.ts';
import type { Verdict } from './verdict.ts';

/** One system's line. */
export interface Compared extends Verdict {
  readonly name: string;
  readonly kills: number;
  readonly resets: number;
  readonly seconds: number;
}

export type Changes = Readonly<Record<'workflow' | 'payments' | 'worker', ChangedLines>>;

/** The workflow itself may differ by so many lines. */
export const WORKFLOW_LINES_MAX = 10;

/** Compares the files of the two examples. */
export function findChanges(folder: string): Changes {
  const compare = (plain: string, withEffect: string): ChangedLines =>
    countChangedLinesOfFiles(join(folder, 'plain', plain), join(folder, 'with-effect', withEffect));
  return {
    workflow: compare('workflow.ts', 'workflow.ts'),
    payments: compare('activities.ts', 'tools.ts'),
    worker: compare('worker.ts', 'worker.ts'),
  };
}

/** Why the comparison fails; undefined when it does not. */
export function whatIsWrong(
  [plain, withEffect]: readonly Compared[],
  { workflow }: Changes,
): string | undefined {
  if (!plain || !withEffect) return 'a system did not run';
  if (plain.duplicates === 0)
    return 'THE PLAIN WORKER PAID NOTHING TWICE: these faults prove nothing';
  const { duplicates, lost, silentDoubts, runs, completed } = withEffect;
  const wrong = { duplicates, lost, 'silent doubts': silentDoubts, unfinished: runs - completed };
  const found = Object.entries(wrong).filter(([, count]) => count > 0);
  if (found.length > 0) {
    return `WITH EFFECT: ${found.map(([what, count]) => `${count} ${what}`).join(', ')}`;
  }
  if (Math.max(workflow.added, workflow.removed) > WORKFLOW_LINES_MAX) {
    return `THE WORKFLOWS DIFFER BY MORE THAN ${WORKFLOW_LINES_MAX} LINES`;
  }
  return undefined;
}

/** Both tables and the changed lines as text. */
export function render(compared: readonly Compared[], changes: Changes): string {
  return [renderCounts(compared), renderCauses(compared), renderChanges(changes)].join('\n');
}

function renderCounts(compared: readonly Compared[]): string {
  const table = createTable(['', ...compared.map(({ name }) => name)]);
  const row = (what: string, read: (system: Compared) => number | string): void => {
    table.push([what, ...compared.map((system) => String(read(system)))]);
  };
  row('runs', ({ runs }) => runs);
  row('completed', ({ completed }) => completed);
  row('workers killed', ({ kills }) => kills);
  row('workflows reset', ({ resets }) => resets);
  row('invoices', ({ invoices }) => invoices);
  row("the banks' receipts", ({ receipts }) => receipts);
  row('DUPLICATES', ({ duplicates }) => duplicates);
  row('lost', ({ lost }) => lost);
  row('silent doubts', ({ silentDoubts }) => silentDoubts);
  row('doubts shown to a human', ({ surfacedDoubts }) => surfacedDoubts);
  row('seconds', ({ seconds }) => seconds);
  return table.toString();
}

function renderCauses(compared: readonly Compared[]): string {
  const causes = [...new Set(compared.flatMap((s) => Object.keys(s.duplicatesBy)))].sort();
  if (causes.length === 0) return '';
  const table = createTable(['duplicates by bank and fault', ...compared.map(({ name }) => name)]);
  for (const cause of causes) {
    table.push([cause, ...compared.map((system) => String(system.duplicatesBy[cause] ?? 0))]);
  }
  return table.toString();
}

function renderChanges(changes: Changes): string {
  const lines = Object.entries(changes).map(
    ([what, { added, removed }]) => `  ${what.padEnd(9)} ${added} added, ${removed} removed`,
  );
  return `Changed lines from plain/ to with-effect/ (comments apart):\n${lines.join('\n')}`;
}

function createTable(head: string[]): InstanceType<typeof Table> {
  return new Table({ head, style: { head: [], border: [] } });
}
