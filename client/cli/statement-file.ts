// Reads a receiver's statement as CSV, JSON or JSON lines into lines that can be compared; every complaint names its line.
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import { parseEveryDigit } from '../../domain/rules/large-numbers.ts';
import { ArgumentInvalidError } from '../errors.ts';
import type { StatementLine } from '../reconcile-statement.ts';
import type { CliIo } from './cli-io.ts';
import { type Columns, toStatementLine } from './statement-line.ts';

export const STATEMENT_FORMATS = ['csv', 'json', 'jsonl'] as const;
export type StatementFormat = (typeof STATEMENT_FORMATS)[number];

export interface StatementFileOptions {
  /** @default by the file's name, else by its first character */
  readonly format?: StatementFormat | undefined;
  /** Between the fields of a CSV. @default ',' */
  readonly delimiter?: string | undefined;
  readonly columns: Columns;
  /** Only rows of which these columns have these values. */
  readonly where: readonly (readonly [column: string, value: string])[];
}

/** One row with its place: a line of a CSV or of JSON lines, an item of a JSON array. */
export interface StatementRow {
  readonly line: number;
  readonly row: Readonly<Record<string, unknown>>;
}

/** The lines of a statement, read as they are asked for; `-` is stdin, which is read at once. */
export async function* readStatementFile(
  io: CliIo,
  path: string,
  options: StatementFileOptions,
): AsyncGenerator<StatementLine> {
  const unseen = new Set([
    ...Object.values(options.columns),
    ...options.where.map(([column]) => column),
  ]);
  let names: readonly string[] = [];
  for await (const { line, row } of readRows(io, path, options)) {
    // JSON leaves out what is empty: a column has to be there once.
    for (const column of unseen) if (column in row) unseen.delete(column);
    names = Object.keys(row);
    const isMeant = options.where.every(([column, value]) => toText(row[column]) === value);
    if (isMeant) yield toStatementLine(row, line, options.columns);
  }
  const [missing] = unseen;
  if (missing !== undefined && names.length > 0) {
    throw new ArgumentInvalidError(
      `No line of the statement has a column "${missing}". The last one has: ${names.join(', ')}.`,
    );
  }
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '');
}

async function* readRows(
  io: CliIo,
  path: string,
  { format, delimiter = ',' }: StatementFileOptions,
): AsyncGenerator<StatementRow> {
  const isStdin = path === '-';
  const file = resolve(io.cwd, path);
  const text = isStdin ? await io.readStdin() : undefined;
  const named = STATEMENT_FORMATS.find((one) => extname(file).toLowerCase() === `.${one}`);
  const chosen = format ?? named ?? sniff(text ?? (await readStart(file)));
  const open = (): Readable =>
    text === undefined ? createReadStream(file, 'utf8') : Readable.from([text]);
  try {
    if (chosen === 'json') yield* readJson(text ?? (await readFile(file, 'utf8')));
    else if (chosen === 'jsonl') yield* readJsonLines(open());
    else yield* readCsv(open(), delimiter);
  } catch (error) {
    throw explainFile(error, file);
  }
}

async function readStart(file: string): Promise<string> {
  try {
    for await (const chunk of createReadStream(file, { encoding: 'utf8', end: 1_023 })) {
      return String(chunk);
    }
    return '';
  } catch (error) {
    throw explainFile(error, file);
  }
}

function sniff(text: string): StatementFormat {
  const start = text.replace(/^\ufeff/, '').trimStart();
  if (start.startsWith('[')) return 'json';
  return start.startsWith('{') ? 'jsonl' : 'csv';
}

function explainFile(error: unknown, file: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new ArgumentInvalidError(`${file}: there is no such file.`);
  if (code === 'EISDIR') return new ArgumentInvalidError(`${file} is a folder, not a statement.`);
  if (code === 'EACCES') return new ArgumentInvalidError(`${file} may not be read.`);
  return error;
}

function* readJson(text: string): Generator<StatementRow> {
  const value = parseJson(text.replace(/^\ufeff/, ''), 'The statement');
  if (!Array.isArray(value)) {
    throw new ArgumentInvalidError(
      'The statement is JSON, but no array of receipts. One object a line is --format jsonl.',
    );
  }
  for (const [index, row] of value.entries()) {
    yield { line: index + 1, row: toRow(row, `Item ${index + 1}`) };
  }
}

async function* readJsonLines(stream: Readable): AsyncGenerator<StatementRow> {
  let line = 0;
  let failed: unknown;
  // readline swallows the errors of its stream.
  stream.on('error', (error) => (failed = error));
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
    line += 1;
    const clean = line === 1 ? text.replace(/^\ufeff/, '') : text;
    if (clean.trim() === '') continue;
    yield { line, row: toRow(parseJson(clean, `Line ${line}`), `Line ${line}`) };
  }
  if (failed) throw failed;
}

function parseJson(text: string, what: string): unknown {
  try {
    return parseEveryDigit(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ArgumentInvalidError(`${what} is not JSON (${why}).`);
  }
}

function toRow(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new ArgumentInvalidError(`${what} is no object: one receipt is one object.`);
}

async function* readCsv(stream: Readable, delimiter: string): AsyncGenerator<StatementRow> {
  const parser = parse({
    bom: true,
    columns: checkHeader,
    delimiter,
    info: true,
    skip_empty_lines: true,
    trim: true,
  });
  stream.on('error', (error) => parser.destroy(error));
  try {
    for await (const item of stream.pipe(parser)) {
      const { record, info } = item as CsvItem;
      yield { line: info.lines, row: record };
    }
  } catch (error) {
    throw explainCsv(error);
  }
}

interface CsvItem {
  readonly record: Readonly<Record<string, string>>;
  readonly info: { readonly lines: number };
}

function checkHeader(header: readonly string[]): string[] {
  const twice = header.find((name, at) => header.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new ArgumentInvalidError(`Line 1: the column "${twice}" is there twice.`);
  }
  return [...header];
}

function explainCsv(error: unknown): unknown {
  const { code, lines, message } = error as { code?: string; lines?: number; message?: string };
  if (
    code === 'CSV_RECORD_INCONSISTENT_COLUMNS' ||
    code === 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH'
  )
    return new ArgumentInvalidError(
      `Line ${lines ?? '?'} has another number of fields than the header. Is the delimiter right (--delimiter)?`,
    );
  if (code?.startsWith('CSV_')) {
    return new ArgumentInvalidError(`Line ${lines ?? '?'} is not CSV: ${message ?? code}.`);
  }
  return error;
}
