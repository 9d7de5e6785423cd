// The transcript of a run, read in pages: however long it is, a few megabytes of it are held, or one entry.
import type { ClientContext } from './context.ts';
import { resolveRunKey } from './ids.ts';
import { toParts, type TranscriptEntry } from './run-views.ts';

export interface TranscriptOptions {
  /** The first entry, by its `seq`. @default 1 */
  readonly from?: number | undefined;
  /** How many entries at most. @default all */
  readonly limit?: number | undefined;
}

const PAGE = 500;
/** A page ends behind the entry that reaches so many bytes. */
const PAGE_BYTES = 4_000_000;

/** Entries in order. Throws ArgumentInvalidError, UnknownIdError, AmbiguousIdError. */
export async function* streamTranscript(
  context: ClientContext,
  typed: string,
  { from = 1, limit = Infinity }: TranscriptOptions = {},
): AsyncGenerator<TranscriptEntry, void, undefined> {
  const runKey = await resolveRunKey(context, typed);
  let left = limit;
  for (let after = from - 1; left > 0;) {
    const page = await readPage(context, runKey, after, Math.min(PAGE, left));
    yield* page;
    const last = page.at(-1);
    if (!last) return;
    after = last.seq;
    left -= page.length;
  }
}

type Row = Omit<TranscriptEntry, 'parts'> & { readonly parts: string | null };

/** At least one entry, where there is one. Sizes are known without reading the bodies. */
async function readPage(
  { database, tenant }: ClientContext,
  runKey: string,
  after: number,
  limit: number,
): Promise<TranscriptEntry[]> {
  const rows = await database.query<Row>(
    `select seq, turn, role, source, hash, parts from (
       select t.seq, t.turn, t.role, t.source, t.hash, b.parts,
         coalesce(sum(octet_length(b.parts)) over (order by t.seq rows between unbounded preceding and 1 preceding), 0)
           as before
       from (select * from pawl.transcript t
         where t.tenant = $1 and t.run_key = $2 and t.seq > $3 order by t.seq limit $4) t
       left join lateral (
         select b.parts from pawl.transcript_bodies b
         where b.tenant = t.tenant and b.run_key = t.run_key and b.seq = t.seq limit 1) b on true) page
     where before < ${PAGE_BYTES} order by seq`,
    [tenant, runKey, after, limit],
  );
  return rows.map((row) => ({
    ...row,
    parts: row.parts === null ? null : toParts(row.parts),
  }));
}
