// Short ids: finds the one run, effect or approval that a few letters name.
import type { ClientContext } from './context.ts';
import { AmbiguousIdError, type IdKind, IdInvalidError, UnknownIdError } from './errors.ts';

interface IdSpace {
  readonly prefix: string;
  readonly table: string;
  readonly column: string;
}

const SPACES: Readonly<Record<IdKind, IdSpace>> = {
  run: { prefix: 'run_', table: 'pawl.runs', column: 'run_key' },
  effect: { prefix: 'ef_', table: 'pawl.effects', column: 'short_id' },
  approval: { prefix: 'ap_', table: 'pawl.approvals', column: 'id' },
};

/** Fewer letters would soon name two things. */
export const ID_LETTERS_MIN = 6;
const CANDIDATES_MAX = 5;

/** What was typed, cut to the letters behind the prefix. */
export interface TypedId {
  readonly letters: string;
  /** With the prefix typed, only the beginning of an id can be meant. */
  readonly hasPrefix: boolean;
}

/** Reads what was typed; throws IdInvalidError for what can name nothing. */
export function parseTypedId(kind: IdKind, typed: string): TypedId {
  const { prefix } = SPACES[kind];
  const text = typed.trim();
  const hasPrefix = text.toLowerCase().startsWith(prefix);
  const letters = hasPrefix ? text.slice(prefix.length) : text;
  const form = `${prefix} and at least ${ID_LETTERS_MIN} letters, or the last ${ID_LETTERS_MIN} or more`;
  if (letters.length < ID_LETTERS_MIN) throw new IdInvalidError(kind, typed, form);
  if (!/^[0-9A-Za-z_-]+$/.test(letters)) throw new IdInvalidError(kind, typed, form);
  return { letters: letters.toLowerCase(), hasPrefix };
}

/** The full run key of what was typed; `latest` is the run that was started last. */
export async function resolveRunKey(context: ClientContext, typed: string): Promise<string> {
  if (typed !== 'latest') return resolveId(context, 'run', typed);
  const [latest] = await context.database.query<{ id: string }>(
    'select run_key as id from pawl.runs where tenant = $1 order by created_at desc, run_key desc limit 1',
    [context.tenant],
  );
  if (!latest) throw new UnknownIdError('run', 'latest', context.tenant);
  return latest.id;
}

/** The full id of what was typed; throws UnknownIdError or AmbiguousIdError, which lists the candidates. */
export async function resolveId(
  context: ClientContext,
  kind: IdKind,
  typed: string,
): Promise<string> {
  const { letters, hasPrefix } = parseTypedId(kind, typed);
  const { prefix, table, column } = SPACES[kind];
  const exact = await context.database.query<{ id: string }>(
    `select ${column} as id from ${table} where tenant = $1 and ${column} = $2`,
    [context.tenant, typed.trim()],
  );
  if (exact[0]) return exact[0].id;
  const end = hasPrefix ? 'false' : `right(lower(${column}), length($3)) = $3`;
  const found = await context.database.query<{ id: string }>(
    `select ${column} as id from ${table}
     where tenant = $1 and (starts_with(lower(${column}), $2 || $3) or ${end})
     order by 1 limit ${CANDIDATES_MAX + 1}`,
    [context.tenant, prefix, letters],
  );
  const [first, ...others] = found.map(({ id }) => id);
  if (!first) throw new UnknownIdError(kind, typed, context.tenant);
  if (others.length > 0) throw new AmbiguousIdError(kind, typed, toCandidates([first, ...others]));
  return first;
}

function toCandidates(ids: readonly string[]): readonly string[] {
  return ids.length > CANDIDATES_MAX ? [...ids.slice(0, CANDIDATES_MAX), '…'] : ids;
}
