// Reads the effects of tools page by page, as far as a receiver's statement can say something about them.
import type { Json } from '../domain/rules/json.ts';
import type { StatementEffect } from '../domain/rules/statement.ts';
import type { ClientContext } from './context.ts';

/** One effect of a comparison. */
export interface ComparedEffect extends StatementEffect {
  readonly id: string;
  readonly runKey: string;
  readonly tool: string;
  readonly summary: string;
}

/** A value inside of an effect. */
export interface ValuePath {
  readonly root: 'output' | 'arguments';
  readonly keys: readonly string[];
}

const PAGE_ROWS = 5_000;
/** With what the effects were given and what they returned. */
const PAGE_ROWS_WITH_BODIES = 500;

/**
 * All effects of these tools, oldest pages first seen by id: one look at each row, at most 5,000 rows in memory. An
 * effect of the ledger's own database (`transactional`) has no receiver and is left out.
 */
export async function* pageEffects(
  { database, tenant }: ClientContext,
  tools: readonly string[],
  paths: readonly ValuePath[],
  until: Date,
): AsyncGenerator<readonly ComparedEffect[]> {
  let after = '';
  for (;;) {
    const rows = await database.query<PageRow>(pageQuery(paths), [tenant, tools, after, until]);
    const page = rows.map((row) => toCompared(row, paths));
    const last = page.at(-1);
    if (!last) return;
    yield page;
    if (page.length < pageRows(paths)) return;
    after = last.id;
  }
}

function pageRows(paths: readonly ValuePath[]): number {
  return paths.length === 0 ? PAGE_ROWS : PAGE_ROWS_WITH_BODIES;
}

type PageRow = Omit<ComparedEffect, 'references'> & { arguments?: Json; output?: Json };

/** Looked into here and not by SQL: what is encrypted is opened on the way. */
function toCompared(row: PageRow, paths: readonly ValuePath[]): ComparedEffect {
  const { arguments: given, output, ...effect } = row;
  const roots = { arguments: given, output };
  const references = paths.map(({ root, keys }) => toText(valueAt(roots[root], keys)));
  return { ...effect, references };
}

function valueAt(value: Json | undefined, keys: readonly string[]): Json | undefined {
  return keys.reduce<Json | undefined>((at, key) => {
    if (typeof at !== 'object' || at === null) return undefined;
    // As PostgreSQL counts: a negative position is one from the end.
    if (Array.isArray(at)) return /^-?\d+$/.test(key) ? (at as Json[]).at(Number(key)) : undefined;
    return Object.hasOwn(at, key) ? (at as Readonly<Record<string, Json>>)[key] : undefined;
  }, value);
}

function toText(value: Json | undefined): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function pageQuery(paths: readonly ValuePath[]): string {
  const roots = [...new Set(paths.map(({ root }) => `, e.${root}`))].join('');
  return `
    select e.id, e.short_id as effect, e.run_key as "runKey", e.tool, e.summary, e.wire_key as "wireKey", e.status,
      e.same_as as "sameAs", e.sends, e.amount_minor as "amountMinor", e.currency,
      coalesce(e.status = 'dispatched' and e.lease_until > clock_timestamp(), false) as "isOnWire",
      ${toMs('coalesce(e.first_sent_at, e.created_at)')} as "sentAtMs",
      ${toMs(`case when e.status = 'applied' and e.updated_at > $4 then ${DONE_AT} else e.updated_at end`)}
        as "doneAtMs"${roots}
    from pawl.effects e
    where e.tenant = $1 and e.tool = any($2) and e.contract <> 'transactional' and e.id > $3
    order by e.id limit ${pageRows(paths)}`;
}

function toMs(time: string): string {
  return `(extract(epoch from ${time}) * 1000)::float8`;
}

// A row is touched later, too. What a human says is said long after: then the last send counts.
const DONE_AT = `coalesce((
  select case when applied.source = 'human' then coalesce((
      select max(sent.at) from pawl.effect_facts sent
      where sent.tenant = e.tenant and sent.effect_id = e.id and sent.kind = 'dispatched'), e.created_at)
    else applied.at end
  from pawl.effect_facts applied
  where applied.tenant = e.tenant and applied.effect_id = e.id and applied.kind = 'applied'
  order by applied.ordinal limit 1), e.updated_at)`;
