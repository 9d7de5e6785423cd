// Lists on the command line: a page says when there is more and how it is had; `--all` is written as it is read.
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { Call } from './call.ts';
import { formatSafeJson } from './format/safe-text.ts';
import { formatCount } from './format/values.ts';

/** What every command takes that lists. */
export interface PageCommandOptions {
  readonly limit: number;
  readonly after?: string;
  readonly all?: boolean;
}

export function addPageOptions(command: Command, what: string, limit: number): Command {
  return command
    .option('-n, --limit <count>', `how many ${what}`, toCount, limit)
    .option('--after <id>', 'go on behind this one: what was shown last')
    .option('--all', 'all of them, written as they are read');
}

/** Parses a count of at least 1. */
export function toCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

export interface Listing<Row> {
  /** Such as `runs`. */
  readonly what: string;
  /** The command with its filters: what goes on is written behind it. */
  readonly command: string;
  readonly idOf: (row: Row) => string;
  readonly read: (page: { limit: number; after: string | undefined }) => Promise<readonly Row[]>;
  readonly each: (page: { after: string | undefined }) => AsyncIterable<Row>;
  readonly human: (rows: readonly Row[]) => string;
}

/** One page, or all. The words that there is more go to stderr where stdout is JSON. */
export async function printListing<Row>(
  call: Call<PageCommandOptions>,
  listing: Listing<Row>,
): Promise<void> {
  const { all, after } = call.options;
  if (all) return printAll(call, listing.each({ after }), listing.human);
  const { rows, next } = await readPage(call, listing, after);
  call.print(rows, () => listing.human(rows));
  sayMore(call, next);
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** What to tell about the rest; empty when there is none. */
  readonly next: string;
}

/** Asks for one more than is shown: whether there is more is known then. */
export async function readPage<Row>(
  call: Call<PageCommandOptions>,
  { what, command, idOf, read }: Pick<Listing<Row>, 'what' | 'command' | 'idOf' | 'read'>,
  after: string | undefined,
): Promise<Page<Row>> {
  const { limit } = call.options;
  const found = await call.progress(`reading ${what}`, read({ limit: limit + 1, after }));
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  if (found.length <= limit || last === undefined) return { rows, next: '' };
  return {
    rows,
    next: `${formatCount(limit)} of more ${what}. Next: ${command} --after ${idOf(last)}   all: ${command} --all`,
  };
}

export function sayMore({ io, options }: Call<PageCommandOptions>, next: string): void {
  if (next === '') return;
  if (options.json) io.err(`${next}\n`);
  else io.out(`${io.paint('dim', next)}\n`);
}

/** Rows of one table on a terminal. */
const TABLE = 500;

/** Never holds more than a page. */
export async function printAll<Row>(
  { io, options }: Call<PageCommandOptions>,
  rows: AsyncIterable<Row>,
  human: (rows: readonly Row[]) => string,
): Promise<void> {
  if (options.json) return printArray(io, rows);
  let held: Row[] = [];
  let isEmpty = true;
  for await (const row of rows) {
    isEmpty = false;
    held.push(row);
    if (held.length < TABLE) continue;
    await io.write(human(held));
    held = [];
  }
  if (held.length > 0 || isEmpty) await io.write(human(held));
}

async function printArray(io: Call['io'], rows: AsyncIterable<unknown>): Promise<void> {
  let before = '[\n  ';
  for await (const row of rows) {
    await io.write(`${before}${formatSafeJson(row)}`);
    before = ',\n  ';
  }
  await io.write(before.startsWith('[') ? '[]\n' : '\n]\n');
}
