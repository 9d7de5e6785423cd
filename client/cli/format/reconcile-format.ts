// `pawl reconcile` as text: the findings, what to do about each, and one line that says how it stands.
import type { ReconcileFinding, ReconcileReport } from '../../reconcile-statement.ts';
import type { CliIo, Tone } from '../cli-io.ts';
import { toSafeLine } from './safe-text.ts';
import { type Column, formatTable } from './table.ts';
import { formatCount, formatDuration, formatMoney, formatStatus, formatTime } from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

const TONES: Readonly<Record<ReconcileFinding['kind'], Tone>> = {
  'refused-but-done': 'bad',
  'unsent-but-done': 'bad',
  duplicate: 'bad',
  'unknown-to-receiver': 'bad',
  'unknown-to-ledger': 'bad',
  'amount-differs': 'warn',
  'doubt-answered': 'info',
};

const COLUMNS: readonly Column<ReconcileFinding>[] = [
  { head: 'FINDING', cell: ({ kind }) => kind, tone: ({ kind }) => TONES[kind] },
  { head: 'EFFECT', cell: ({ effect }) => effect?.effect ?? '' },
  { head: 'STATUS', cell: ({ effect }) => formatStatus(effect?.status ?? '') },
  { head: 'LEDGER', cell: ({ effect }) => toMoney(effect?.amountMinor, effect?.currency) },
  { head: 'RECEIPT', cell: ({ receipts }) => receipts.map(toName).join(' '), isFlexible: true },
  {
    head: 'RECEIVER',
    cell: ({ receipts }) =>
      receipts.map((one) => toMoney(one.amountMinor, one.currency)).join(' + '),
    align: 'right',
  },
  {
    head: 'TIME (UTC)',
    cell: ({ effect, receipts }) => toTime(receipts[0]?.atMs ?? effect?.sentAtMs),
  },
  { head: 'LINE', cell: ({ receipts }) => receipts.map(({ line }) => line).join(' ') },
];

/** The whole report. */
export function formatReconciliation(io: Terminal, report: ReconcileReport): string {
  const { findings } = report;
  const total = Object.values(report.found).reduce((sum, count) => sum + count, 0);
  const more = total - findings.length;
  const table = findings.length > 0 ? `${formatTable(io, COLUMNS, findings)}\n` : '';
  const unlisted = more > 0 ? `… and ${formatCount(more)} more (--limit).\n` : '';
  const todo =
    findings.length > 0 ? `${findings.map((one) => formatAdvice(io, one)).join('')}\n` : '';
  return `${table}${unlisted}${todo}${formatNotes(io, report)}${formatSummary(io, report)}\n`;
}

function formatAdvice({ paint }: Terminal, finding: ReconcileFinding): string {
  const { kind, effect, receipts, advice, command } = finding;
  const name = effect?.effect ?? receipts.map(toName).join(' ');
  const head = `${paint('bold', toSafeLine(name))}  ${kind}: ${toSafeLine(advice)}\n`;
  return command === null ? head : `${head}  ${toSafeLine(command)}\n`;
}

function formatNotes({ paint }: Terminal, report: ReconcileReport): string {
  const { from, to, graceMs, outside, amounts, repeatedLines, effects } = report;
  const period = `${formatTime(from)} to ${formatTime(to)}, ${formatDuration(graceMs)} off at each edge`;
  const notes = [
    `Period: ${period}.`,
    outside > 0 &&
      `${formatCount(outside)} applied without a receipt outside of it, or not certainly inside: not judged (--from, --to, --grace).`,
    repeatedLines > 0 && `${formatCount(repeatedLines)} lines repeat a receipt.`,
    effects > 0 && amounts === 0 && 'No amounts were compared: one of the sides names none.',
  ];
  return notes.map((note) => (note ? `${paint('dim', note)}\n` : '')).join('');
}

function formatSummary({ paint }: Terminal, report: ReconcileReport): string {
  const counted = `${formatCount(report.receipts)} receipts, ${formatCount(report.effects)} effects`;
  if (report.agrees) return `${counted}: ${paint('good', 'they agree')}`;
  const kinds = Object.entries(report.found).map(
    ([kind, count]) => `${formatCount(count)} ${kind}`,
  );
  return `${counted}: ${paint('bad', kinds.join(', '))}`;
}

function toName({
  receiptId,
  reference,
  idempotencyKey,
  line,
}: ReconcileFinding['receipts'][number]): string {
  return receiptId ?? reference ?? idempotencyKey ?? `line ${line}`;
}

function toMoney(minor: number | null | undefined, currency: string | null | undefined): string {
  if (minor === null || minor === undefined) return '';
  return currency ? formatMoney({ minor, currency }) : String(minor);
}

function toTime(ms: number | undefined): string {
  return ms === undefined ? '' : formatTime(new Date(ms));
}
