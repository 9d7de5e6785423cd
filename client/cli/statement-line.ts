// One row of a statement, whatever its columns are called, as a line that can be compared. No I/O.
import { toAmount } from '../../domain/rules/money.ts';
import { ArgumentInvalidError } from '../errors.ts';
import type { StatementLine } from '../reconcile-statement.ts';

/** What a column may hold; `amount` is a decimal number such as 20.00 and needs a currency. */
export const STATEMENT_FIELDS = [
  'key',
  'reference',
  'receiptId',
  'amountMinor',
  'amount',
  'currency',
  'at',
] as const;
export type StatementField = (typeof STATEMENT_FIELDS)[number];

/** Names that were given for fields; the others are looked for under their usual names. */
export type Columns = Readonly<Partial<Record<StatementField, string>>>;

/** Compared without capitals, spaces, `_` and `-`. */
const USUAL_NAMES: Readonly<Record<StatementField, readonly string[]>> = {
  key: ['key', 'idempotencykey'],
  reference: ['reference', 'ref', 'clientreference', 'merchantreference', 'endtoendid'],
  receiptId: ['receiptid', 'receipt', 'transferid', 'paymentid', 'transactionid', 'id'],
  amountMinor: ['amountminor', 'minor', 'cents', 'amountcents'],
  amount: ['amount'],
  currency: ['currency'],
  at: ['at', 'atms', 'time', 'timestamp', 'date', 'bookedat', 'createdat', 'created'],
};

type Row = Readonly<Record<string, unknown>>;

/** The line; ArgumentInvalidError names the line and the column. */
export function toStatementLine(row: Row, line: number, columns: Columns): StatementLine {
  const names = toNames(row, columns);
  const text = (field: StatementField): string | undefined => readText(row, names[field], line);
  const currency = text('currency')?.toUpperCase();
  return {
    line,
    idempotencyKey: text('key'),
    reference: text('reference'),
    receiptId: text('receiptId'),
    amountMinor: readMinor(text('amountMinor'), line) ?? readAmount(text('amount'), currency, line),
    currency,
    at: readTime(text('at'), line),
  };
}

function toNames(row: Row, columns: Columns): Columns {
  const present = new Map(Object.keys(row).map((name) => [toPlain(name), name]));
  const names: Partial<Record<StatementField, string>> = {};
  for (const field of STATEMENT_FIELDS) {
    const usual = USUAL_NAMES[field].find((name) => present.has(name));
    const name = columns[field] ?? (usual === undefined ? undefined : present.get(usual));
    if (name !== undefined) names[field] = name;
  }
  return names;
}

function toPlain(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_-]/g, '');
}

function readText(row: Row, name: string | undefined, line: number): string | undefined {
  const value = name === undefined ? undefined : row[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value.trim() === '' ? undefined : value.trim();
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new ArgumentInvalidError(`Line ${line}: "${name ?? ''}" is neither a text nor a number.`);
}

function readMinor(text: string | undefined, line: number): number | undefined {
  if (text === undefined) return undefined;
  const minor = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(minor)) return minor;
  throw new ArgumentInvalidError(
    `Line ${line}: "${text}" is not a whole number of minor units. A decimal amount is --columns amount=NAME.`,
  );
}

function readAmount(
  text: string | undefined,
  currency: string | undefined,
  line: number,
): number | undefined {
  if (text === undefined) return undefined;
  if (currency === undefined) {
    throw new ArgumentInvalidError(
      `Line ${line}: the amount ${text} has no currency. Name its column: --columns currency=NAME.`,
    );
  }
  try {
    return toAmount(text, currency).minor;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ArgumentInvalidError(`Line ${line}: ${why}.`);
  }
}

function readTime(text: string | undefined, line: number): Date | undefined {
  const at = text === undefined ? undefined : toTime(text);
  if (text !== undefined && !at) {
    throw new ArgumentInvalidError(`Line ${line}: "${text}" is not a time. ${TIME_FORM}`);
  }
  return at;
}

export const TIME_FORM =
  'Write 2026-03-01, 2026-03-01T14:30:00Z (UTC where no zone is named), or seconds or milliseconds since 1970, of the years 2000 to 2099.';

/** A number outside of both ranges has another unit, or is a date without separators. */
const [YEAR_2000_S, YEAR_2100_S] = [946_684_800, 4_102_444_800];

function isPlausible(seconds: number): boolean {
  return seconds >= YEAR_2000_S && seconds < YEAR_2100_S;
}

/** A time as statements have it; undefined when it is none. */
export function toTime(text: string): Date | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) {
    const unit = [1_000, 1].find((ms) => isPlausible((Number(text) * ms) / 1_000));
    return unit === undefined ? undefined : new Date(Number(text) * unit);
  }
  const match =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?)?$/i.exec(text);
  if (!match) return undefined;
  const [, day = '', time = '00:00', zone = 'Z'] = match;
  const midnight = new Date(`${day}T00:00Z`);
  const at = new Date(`${day}T${time}${zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2').toUpperCase()}`);
  if (Number.isNaN(midnight.getTime()) || Number.isNaN(at.getTime())) return undefined;
  // Date makes the 3rd of March of the 31st of February.
  return midnight.toISOString().startsWith(day) ? at : undefined;
}
