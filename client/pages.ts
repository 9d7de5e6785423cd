// Pages by key: a list goes on behind the row that was shown last, however many rows came or went meanwhile.
import type { ClientContext } from './context.ts';
import { UnknownIdError } from './errors.ts';
import { resolveId, resolveRunKey } from './ids.ts';

/** What every list takes. */
export interface PageOptions {
  /** How many at most. */
  readonly limit?: number | undefined;
  /** The id of the row that was shown last: the list goes on behind it. */
  readonly after?: string | undefined;
}

/** Texts of SQL with their parameters, numbered as they are added. */
export interface Statement {
  readonly values: unknown[];
  /** The place of a value: `$3`. */
  readonly $: (value: unknown) => string;
}

export function createStatement(...first: readonly unknown[]): Statement {
  const values = [...first];
  return { values, $: (value) => `$${values.push(value)}` };
}

/** In which order a list is read: columns that together name one row, each with its type. */
export interface PageOrder {
  readonly kind: 'run' | 'effect' | 'approval';
  /** Where the columns of the row with id `$2` of tenant `$1` are read. */
  readonly from: string;
  readonly columns: readonly (readonly [expression: string, type: string])[];
  readonly direction: 'asc' | 'desc';
}

/** The condition that only rows behind `after` meet; empty at the beginning. Throws UnknownIdError, AmbiguousIdError. */
export async function behind(
  context: ClientContext,
  { kind, from, columns, direction }: PageOrder,
  after: string | undefined,
  { $ }: Statement,
): Promise<string> {
  if (after === undefined) return '';
  const id =
    kind === 'run' ? await resolveRunKey(context, after) : await resolveId(context, kind, after);
  const texts = columns.map(([expression]) => `(${expression})::text`);
  const [row] = await context.database.query<{ key: string[] }>(
    `select array[${texts.join(', ')}] as key ${from}`,
    [context.tenant, id],
  );
  if (!row) throw new UnknownIdError(kind, after, context.tenant);
  const left = columns.map(([expression]) => expression).join(', ');
  const right = columns.map(([, type], index) => `${$(row.key[index])}::${type}`).join(', ');
  return ` and (${left}) ${direction === 'asc' ? '>' : '<'} (${right})`;
}

export function orderBy({ columns, direction }: PageOrder, isReversed = false): string {
  const way = (direction === 'asc') === isReversed ? 'desc' : 'asc';
  return ` order by ${columns.map(([expression]) => `${expression} ${way}`).join(', ')}`;
}

/** Rows in one round trip, when all of them are asked for. */
const ALL_PAGE = 500;

/** Every row from `after` on, read page by page, `limit` at most. */
export async function* eachRow<T>(
  { limit = Infinity, after }: PageOptions,
  read: (page: {
    readonly limit: number;
    readonly after: string | undefined;
  }) => Promise<readonly T[]>,
  idOf: (row: T) => string,
): AsyncGenerator<T, void, undefined> {
  let left = limit;
  let last = after;
  while (left > 0) {
    const wanted = Math.min(ALL_PAGE, left);
    const rows = await read({ limit: wanted, after: last });
    yield* rows;
    const end = rows.at(-1);
    if (rows.length < wanted || end === undefined) return;
    last = idOf(end);
    left -= rows.length;
  }
}
