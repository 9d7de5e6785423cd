// The transcript of a run, read in pages: one of 10 MB is never held at once.
import type { ClientContext } from './context.ts';
import { resolveRunKey } from './ids.ts';
import { toParts, type TranscriptEntry } from './run-views.ts';

export interface TranscriptOptions {
  /** The first entry, by its `seq`. @default 1 */
  readonly from?: number | undefined;
  /** How many entries at most. @default all */
  readonly limit?: number | undefined;
}

const PAGE = 100;

/** Entries in order. Throws ArgumentInvalidError, UnknownIdError, AmbiguousIdError. */
export async function* streamTranscript(
  context: ClientContext,
  typed: string,
  { from = 1, limit = Infinity }: TranscriptOptions = {},
): AsyncGenerator<TranscriptEntry, void, undefined> {
  const runKey = await resolveRunKey(context, typed);
  let left = limit;
  for (let after = from - 1; left > 0;) {
    const wanted = Math.min(PAGE, left);
    const page = await readPage(context, runKey, after, wanted);
    yield* page;
    after = page.at(-1)?.seq ?? after;
    left -= page.length;
    if (page.length < wanted) return;
  }
}

async function readPage(
  { database, tenant }: ClientContext,
  runKey: string,
  after: number,
  limit: number,
): Promise<TranscriptEntry[]> {
  const rows = await database.query<Omit<TranscriptEntry, 'parts'> & { parts: string | null }>(
    `select t.seq, t.turn, t.role, t.source, t.hash, b.parts
     from pawl.transcript t
     left join pawl.transcript_bodies b
       on b.tenant = t.tenant and b.run_key = t.run_key and b.seq = t.seq
     where t.tenant = $1 and t.run_key = $2 and t.seq > $3 order by t.seq limit $4`,
    [tenant, runKey, after, limit],
  );
  return rows.map((row) => ({
    ...row,
    parts: row.parts === null ? null : toParts(row.parts),
  }));
}
