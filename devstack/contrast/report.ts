// The comparison as a table, the changed lines, and what makes it fail.
import { join } from 'node:path';
import Table from 'cli-table3';
import { type ChangedLines, countChangedLinesOfFiles } from './changed-lines.ts';
import type { SystemName } from './system.ts';
import type { NotRun } from './systems.ts';
import type { Verdict } from './verdict.ts';

/** One system's column. */
export interface Compared extends Verdict {
  readonly name: SystemName;
  readonly hasResets: boolean;
  readonly note?: string;
  readonly kills: number;
  /** Workflows reset, or batches delivered again where there is no workflow. */
  readonly resets: number;
  readonly seconds: number;
}

export type Changes = Readonly<Record<'workflow' | 'payments' | 'worker', ChangedLines>>;

/** The workflow itself may differ by so many lines. */
export const WORKFLOW_LINES_MAX = 10;
const PAWL: SystemName = 'with-effect';

/** Compares the files of `plain/` and `with-effect/` in a folder of examples. */
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
export function whatIsWrong(compared: readonly Compared[], changes: Changes): string | undefined {
  const withEffect = compared.find(({ name }) => name === PAWL);
  if (!withEffect) return `${PAWL} DID NOT RUN: name it in --systems, or nothing is proved`;
  const harmless = compared.filter(({ name, duplicates }) => name !== PAWL && duplicates === 0);
  if (harmless.length > 0) {
    const names = harmless.map(({ name }) => name).join(', ');
    return `${names} PAID NOTHING TWICE: these faults prove nothing`;
  }
  return whatIsWrongWith(withEffect) ?? tooManyLines(changes);
}

function whatIsWrongWith(system: Compared): string | undefined {
  const found = Object.entries({
    duplicates: system.duplicates,
    lost: system.lost,
    'silent doubts': system.silentDoubts,
    'receipts of no invoice': system.strayReceipts,
    'receipts with a wrong amount or payee': system.wrongReceipts,
    'completed runs without exactly their effects': system.wrongRuns,
    unfinished: system.runs - system.completed,
  }).filter(([, count]) => count > 0);
  if (found.length === 0) return undefined;
  return `WITH EFFECT: ${found.map(([what, count]) => `${count} ${what}`).join(', ')}`;
}

/** Says so when the workflows differ by more lines than promised. */
export function tooManyLines({ workflow }: Pick<Changes, 'workflow'>): string | undefined {
  return Math.max(workflow.added, workflow.removed) > WORKFLOW_LINES_MAX
    ? `THE WORKFLOWS DIFFER BY MORE THAN ${WORKFLOW_LINES_MAX} LINES`
    : undefined;
}

/** Both tables, the notes and the changed lines as text. */
export function render(
  compared: readonly Compared[],
  notRun: readonly NotRun[],
  changes: Changes,
): string {
  const parts = [renderCounts(compared, notRun), renderCauses(compared)];
  parts.push(renderNotes(compared, notRun), renderChanges(changes));
  return parts.filter((part) => part !== '').join('\n');
}

type Row = readonly [what: string, read: (system: Compared) => number | string];

const ROWS: readonly Row[] = [
  ['runs', ({ runs }) => runs],
  ['completed', ({ completed }) => completed],
  ['workers killed', ({ kills }) => kills],
  ['workflows reset', ({ hasResets, resets }) => (hasResets ? resets : 'n/a')],
  ['batches delivered again', ({ hasResets, resets }) => (hasResets ? '' : resets)],
  ['invoices', ({ invoices }) => invoices],
  ["the banks' receipts", ({ receipts }) => receipts],
  ['DUPLICATES', ({ duplicates }) => duplicates],
  ['lost', ({ lost }) => lost],
  ['silent doubts', ({ silentDoubts }) => silentDoubts],
  ['doubts shown to a human', ({ surfacedDoubts }) => surfacedDoubts],
  ['receipts of no invoice', ({ strayReceipts }) => strayReceipts],
  ['wrong amount or payee', ({ wrongReceipts }) => wrongReceipts],
  ['completed, not exactly its effects', ({ wrongRuns }) => wrongRuns],
  ['seconds', ({ seconds }) => seconds],
];

function renderCounts(compared: readonly Compared[], notRun: readonly NotRun[]): string {
  const names = [...compared, ...notRun].map(({ name }) => name);
  const missing = notRun.map(() => 'not run');
  const table = createTable(['', ...names]);
  for (const [what, read] of ROWS) {
    table.push([what, ...compared.map((system) => String(read(system))), ...missing]);
  }
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

function renderNotes(compared: readonly Compared[], notRun: readonly NotRun[]): string {
  const notes = compared.flatMap(({ name, note }) => (note ? [`  ${name}: ${note}`] : []));
  const missing = notRun.map(({ name, install }) => `  ${name}: not run: ${install}`);
  return [...notes, ...missing].join('\n');
}

/** How many lines differ, as text. */
export function renderChanges(changes: Partial<Changes>): string {
  const lines = Object.entries(changes).map(
    ([what, { added, removed }]) => `  ${what.padEnd(9)} ${added} added, ${removed} removed`,
  );
  return `Changed lines from plain/ to with-effect/ (comments apart):\n${lines.join('\n')}`;
}

/** A table without colours: it is also read in logs. */
export function createTable(head: string[]): InstanceType<typeof Table> {
  return new Table({ head, style: { head: [], border: [], compact: true } });
}
