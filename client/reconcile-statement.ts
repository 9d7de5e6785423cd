// Compares what a receiver says it has done with what the ledger says was done: both directions, reading only.
import {
  compareStatement,
  type FindingKind,
  type StatementComparison,
  type StatementCounts,
  type StatementFinding,
  type StatementPeriod,
  type StatementReceipt,
} from '../domain/rules/statement.ts';
import { listAgents } from './agents.ts';
import type { ClientContext } from './context.ts';
import { ArgumentInvalidError } from './errors.ts';
import { adviseOn, type Advice, type MatchedPath } from './statement-advice.ts';
import { type ComparedEffect, pageEffects } from './statement-page.ts';

/** One receipt, as the receiver's statement has it. What can be compared is compared. */
export interface StatementLine {
  /** The key that the effect was sent with: the surest way to recognise it. */
  readonly idempotencyKey?: string | undefined;
  readonly reference?: string | undefined;
  readonly receiptId?: string | undefined;
  /** Whole minor units. */
  readonly amountMinor?: number | undefined;
  readonly currency?: string | undefined;
  readonly at?: Date | undefined;
  /** @default its place in the statement, from 1 */
  readonly line?: number | undefined;
}

export interface ReconcileOptions {
  /** At most 1,000,000 lines: they are kept in memory (about 1 KB each), the ledger is paged. */
  readonly statement: AsyncIterable<StatementLine> | Iterable<StatementLine>;
  /** Whose effects the statement tells of: all tools that write to this receiver under this account. */
  readonly tools: readonly string[];
  /** The period that the statement covers. @default the time of its first line */
  readonly from?: Date | undefined;
  /** @default the time of its last line */
  readonly to?: Date | undefined;
  /** So near to the edges of the period an effect is not missed: clocks differ. @default 300_000 */
  readonly graceMs?: number | undefined;
  /**
   * How to recognise receipts without a key: a field of the line and where its value stands in the effect, such as
   * `{ receiptId: 'output.transferId' }` or `{ reference: 'arguments.reference' }`.
   */
  readonly match?: Readonly<Partial<Record<'reference' | 'receiptId', string>>> | undefined;
  /** Findings beyond are counted only. @default 1_000 */
  readonly findingsMax?: number | undefined;
  /** Called now and then, with what has been read so far. */
  readonly onProgress?: ((read: { receipts: number; effects: number }) => void) | undefined;
}

export interface ReconcileFinding extends Advice {
  readonly kind: FindingKind;
  readonly effect: ComparedEffect | null;
  readonly receipts: readonly StatementReceipt[];
  readonly resembles: string | null;
}

export interface ReconcileReport extends StatementCounts {
  /** Nothing was found. */
  readonly agrees: boolean;
  readonly tools: readonly string[];
  readonly from: Date;
  readonly to: Date;
  readonly graceMs: number;
  /** How many of each kind, also of those that are not listed. */
  readonly found: Readonly<Partial<Record<FindingKind, number>>>;
  /** In the order of `FINDING_ORDER`: what is dangerous comes first. */
  readonly findings: readonly ReconcileFinding[];
}

const LINES_MAX = 1_000_000;
const PROGRESS_LINES = 10_000;
const GRACE_MS = 300_000;

const FINDING_ORDER: readonly FindingKind[] = [
  'refused-but-done',
  'unsent-but-done',
  'duplicate',
  'unknown-to-receiver',
  'unknown-to-ledger',
  'amount-differs',
  'doubt-answered',
];

/** Reads the whole statement, then each effect of the tools once; writes nothing. */
export async function reconcileStatement(
  context: ClientContext,
  options: ReconcileOptions,
): Promise<ReconcileReport> {
  const { tools, graceMs = GRACE_MS, findingsMax = 1_000, onProgress } = options;
  const match = readMatch(options.match ?? {});
  await checkTools(context, tools);
  const fields = match.map(({ field }) => field);
  const comparison = compareStatement<ComparedEffect>({ match: fields, graceMs });
  // The statement first: whatever it holds was intended before, so the ledger that is read then knows it.
  const receipts = await readStatement(options, comparison);
  if (receipts > 0 && !comparison.hasKeys && match.length === 0) throw noWayToMatch();
  const period = toPeriod(options, comparison);
  const findings = createFindings(findingsMax, match);
  let effects = 0;
  const paths = match.map(({ path }) => path);
  const until = new Date(period.toMs - graceMs);
  for await (const page of pageEffects(context, tools, paths, until)) {
    for (const effect of page) findings.add(comparison.addEffect(effect, period));
    effects += page.length;
    onProgress?.({ receipts, effects });
  }
  for (const finding of comparison.finish(period)) findings.add(finding);
  const { fromMs, toMs } = period;
  const range = { from: new Date(fromMs), to: new Date(toMs), graceMs };
  return { ...findings.report(), tools, ...range, ...comparison.counts() };
}

async function readStatement(
  { statement, onProgress }: ReconcileOptions,
  comparison: StatementComparison<ComparedEffect>,
): Promise<number> {
  let count = 0;
  for await (const { at, line, ...rest } of statement) {
    count += 1;
    if (count > LINES_MAX) {
      throw new ArgumentInvalidError(
        `The statement has more than ${LINES_MAX} lines: compare it in parts, each with its own period.`,
      );
    }
    const atMs = at?.getTime();
    if (atMs !== undefined && Number.isNaN(atMs)) {
      throw new ArgumentInvalidError(`Line ${line ?? count} has a time that is none.`);
    }
    const { amountMinor } = rest;
    if (amountMinor !== undefined && !Number.isSafeInteger(amountMinor)) {
      throw new ArgumentInvalidError(
        `Line ${line ?? count} has the amount ${amountMinor}, which is no exact number of minor units.`,
      );
    }
    comparison.addReceipt({ ...rest, line: line ?? count, atMs });
    if (count % PROGRESS_LINES === 0) onProgress?.({ receipts: count, effects: 0 });
  }
  return count;
}

function toPeriod(
  { from, to }: ReconcileOptions,
  comparison: StatementComparison<ComparedEffect>,
): StatementPeriod {
  const inferred = comparison.inferPeriod();
  const [fromMs, toMs] = [from?.getTime() ?? inferred?.fromMs, to?.getTime() ?? inferred?.toMs];
  if (fromMs === undefined || toMs === undefined) {
    throw new ArgumentInvalidError(
      'No line of the statement has a time: say which period it covers (--from and --to).',
    );
  }
  if (!(fromMs <= toMs)) {
    const [start, end] = [fromMs, toMs].map((ms) =>
      Number.isNaN(ms) ? 'no time' : new Date(ms).toISOString(),
    );
    throw new ArgumentInvalidError(`The period ends (${end}) before it begins (${start}).`);
  }
  return { fromMs, toMs };
}

function noWayToMatch(): ArgumentInvalidError {
  return new ArgumentInvalidError(
    'No line of the statement has an idempotency key. Name the column that holds it (--columns key=NAME), or say how to ' +
      'recognise receipts: --match receiptId=output.NAME, --match reference=arguments.NAME.',
  );
}

function readMatch(match: NonNullable<ReconcileOptions['match']>): readonly MatchedPath[] {
  return Object.entries(match).map(([field, text]) => {
    const [root, ...keys] = text.split('.');
    const isRoot = root === 'output' || root === 'arguments';
    if (!isRoot || keys.length === 0 || keys.includes('')) {
      throw new ArgumentInvalidError(
        `"${text}" names no value of an effect: write output.NAME or arguments.NAME, as in output.transferId.`,
      );
    }
    if (field !== 'reference' && field !== 'receiptId') {
      throw new ArgumentInvalidError(
        `"${field}" is nothing to match by: write reference or receiptId.`,
      );
    }
    return { field, path: { root, keys } };
  });
}

/** A name that is typed wrong would make every receipt unknown. */
async function checkTools(context: ClientContext, tools: readonly string[]): Promise<void> {
  if (tools.length === 0) throw new ArgumentInvalidError('Name at least one tool (--tool).');
  const missing = await context.database.query<{ tool: string }>(
    `select tool from unnest($2::text[]) tool where not exists (
       select 1 from pawl.effects e where e.tenant = $1 and e.tool = tool.tool)`,
    [context.tenant, tools],
  );
  if (missing.length === 0) return;
  const offered = (await listAgents(context)).flatMap((agent) => agent.tools);
  const unknown = missing.find(({ tool }) => !offered.some(({ name }) => name === tool));
  if (!unknown) return;
  const used = await context.database.query<{ tool: string }>(
    'select distinct tool from pawl.effects where tenant = $1 order by tool limit 20',
    [context.tenant],
  );
  const names = used.map(({ tool }) => tool).join(', ') || 'none';
  throw new ArgumentInvalidError(
    `No effect of a tool "${unknown.tool}" is in the ledger (tenant "${context.tenant}"), and no worker offers it. ` +
      `Tools with effects: ${names}.`,
  );
}

interface Findings {
  add(finding: StatementFinding<ComparedEffect> | undefined): void;
  report(): Pick<ReconcileReport, 'agrees' | 'found' | 'findings'>;
}

function createFindings(findingsMax: number, match: readonly MatchedPath[]): Findings {
  const found: Partial<Record<FindingKind, number>> = {};
  const kept: StatementFinding<ComparedEffect>[] = [];
  const place = ({ kind }: { readonly kind: FindingKind }): number => FINDING_ORDER.indexOf(kind);
  return {
    add(finding) {
      if (!finding) return;
      found[finding.kind] = (found[finding.kind] ?? 0) + 1;
      kept.push(finding);
      // Cut now and then only: the dangerous ones may come last.
      if (kept.length < 2 * findingsMax + 1_000) return;
      kept.sort((one, other) => place(one) - place(other));
      kept.length = findingsMax;
    },
    report() {
      kept.sort((one, other) => place(one) - place(other));
      const findings = kept.slice(0, findingsMax).map((finding) => ({
        kind: finding.kind,
        effect: finding.effect ?? null,
        receipts: finding.receipts,
        resembles: finding.resembles ?? null,
        ...adviseOn(finding, match),
      }));
      return { agrees: Object.keys(found).length === 0, found, findings };
    },
  };
}
