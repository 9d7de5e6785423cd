// reconcile: a receiver's statement against the ledger, in both directions.
import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { toMs } from '../../../domain/rules/durations.ts';
import { ExitCode } from '../../errors.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { formatReconciliation } from '../format/reconcile-format.ts';
import { formatCount } from '../format/values.ts';
import { readStatementFile, STATEMENT_FORMATS, type StatementFormat } from '../statement-file.ts';
import {
  type Columns,
  STATEMENT_FIELDS,
  type StatementField,
  TIME_FORM,
  toTime,
} from '../statement-line.ts';

type Pairs = Readonly<Record<string, string>>;

interface ReconcileCommandOptions {
  readonly tool: readonly string[];
  readonly from?: Date;
  readonly to?: Date;
  readonly grace: number;
  readonly match?: Pairs;
  readonly columns?: Columns;
  readonly where?: Pairs;
  readonly format?: StatementFormat;
  readonly delimiter?: string;
  readonly limit: number;
}

export function addReconcileCommand(program: Command, toAction: ToAction): void {
  const command = program
    .command('reconcile')
    .summary("compare a receiver's statement with the ledger")
    .description(
      'Compares what a receiver says it did with the effects of the tools that write to it: receipts that no effect ' +
        'explains, applied effects that the receiver does not know, duplicates, other amounts, answers to doubts.\n' +
        'It changes nothing. Exit code 0: they agree; 1: there are findings; 2: wrong usage, or a statement that cannot be read.',
    )
    .addArgument(new Argument('<statement>', 'a file (.csv with a header, .json, .jsonl), or -'))
    .requiredOption('-t, --tool <names>', 'whose effects: tool names with commas between', toList)
    .option('--from <time>', 'start of the period (default: the first receipt)', toDate)
    .option('--to <time>', 'end of the period (default: the last receipt)', toDate)
    .addOption(
      new Option('--grace <duration>', 'nearer to the edges nothing is missed')
        .argParser(toDuration)
        .default(300_000, '5m'),
    )
    .option(
      '-m, --match <field=path>',
      'recognise receipts without a key, as in receiptId=output.transferId; repeatable',
      collect(['receiptId', 'reference']),
    )
    .option(
      '--columns <field=name,…>',
      `what columns are called: ${STATEMENT_FIELDS.join(', ')}`,
      collect(STATEMENT_FIELDS),
    )
    .option('--where <column=value>', 'only rows with this value; repeatable', collect())
    .addOption(new Option('--format <format>', 'of the statement').choices(STATEMENT_FORMATS))
    .option(
      '--delimiter <character>',
      'between the fields of a CSV (default: a comma)',
      toDelimiter,
    )
    .option('-n, --limit <count>', 'findings to list; all are counted', toLimit, 1_000)
    .action(toAction<ReconcileCommandOptions>(reconcile));
  addExamples(command, [
    ['pawl reconcile bank.csv --tool pay_invoice', 'by the idempotency keys in it'],
    ['pawl reconcile bank.csv -t pay_invoice --from 2026-03-01 --to 2026-04-01', 'of one month'],
    ['pawl reconcile bank.csv -t refund -m receiptId=output.refundId', 'a statement without keys'],
    ['pawl reconcile bank.csv -t refund --columns key=idem_key,at=booked', 'columns of its own'],
    ['curl -s https://bank/receipts | pawl reconcile - -t refund --json', 'from a pipe'],
  ]);
}

async function reconcile(call: Call<ReconcileCommandOptions>): Promise<ExitCode> {
  const { io, options } = call;
  const { tool: tools, from, to, grace: graceMs, match, columns = {}, where = {} } = options;
  const { format, delimiter, limit: findingsMax } = options;
  const client = await call.connect();
  let read = { receipts: 0, effects: 0 };
  const reconciling = client.reconcileStatement({
    statement: readStatementFile(io, call.args[0] ?? '', {
      columns,
      where: Object.entries(where),
      format,
      delimiter,
    }),
    tools,
    ...{ from, to, graceMs, match, findingsMax },
    onProgress: (now) => (read = now),
  });
  const label = (): string =>
    `comparing ${formatCount(read.receipts)} receipts with ${formatCount(read.effects)} effects`;
  const report = await call.progress(label, reconciling);
  call.print(report, () => formatReconciliation(io, report));
  return report.agrees ? ExitCode.Ok : ExitCode.Failed;
}

function toList(text: string, before: readonly string[] = []): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('Write a name, or names with commas.');
  return [...new Set([...before, ...names])];
}

/** Reads `a=b,c=d`, once or several times. */
function collect(fields?: readonly string[]) {
  return (text: string, before: Pairs = {}): Pairs => {
    const pairs = text.split(',').map((pair) => {
      const at = pair.indexOf('=');
      const [field, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
      if (at < 1 || value === '') throw new InvalidArgumentError(`"${pair}" is not name=value.`);
      if (fields && !fields.includes(field as StatementField)) {
        throw new InvalidArgumentError(`"${field}" is none of ${fields.join(', ')}.`);
      }
      return [field, value] as const;
    });
    return { ...before, ...Object.fromEntries(pairs) };
  };
}

function toDate(text: string): Date {
  const at = toTime(text);
  if (!at) throw new InvalidArgumentError(`"${text}" is not a time. ${TIME_FORM}`);
  return at;
}

function toDuration(text: string): number {
  try {
    return toMs(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function toDelimiter(text: string): string {
  const delimiter = text === '\\t' ? '\t' : text;
  if (delimiter.length !== 1)
    throw new InvalidArgumentError(String.raw`Write one character, or \t.`);
  return delimiter;
}

function toLimit(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= 100_000) return limit;
  throw new InvalidArgumentError('Write a whole number from 1 to 100000.');
}
