// What the model is shown of a transcript: all of it, or, after a compaction, the input, the summary and what came since.
import type { Message, Part, Role } from '../../domain/rules/transcript.ts';
import type { Database } from '../ledger/database.ts';

/** A message as the model is shown it, with its place in the transcript. */
export interface ContextMessage extends Message {
  readonly seq: number;
  readonly turn: number;
}

/** The source of a summary; it is in the transcript's chain, and shown only in its place. */
export const COMPACTION_SOURCE = 'pawl:compaction';

interface Row {
  seq: number;
  turn: number;
  role: Role;
  parts: string;
  hash: string;
  summary_seq: number | null;
}

/** The rows that the model is shown, in this order. */
export interface ContextRows {
  readonly messages: readonly ContextMessage[];
  /** The last row of all, by its place. */
  readonly last: { readonly seq: number; readonly hash: string };
  /** The row of the summary that stands in the place of others; 0: there is none. */
  readonly summarySeq: number;
  /** How long their texts are. */
  readonly chars: number;
}

/** In the order in which the model is shown it. An erased body leaves no message. */
export async function readContext(
  database: Database,
  tenant: string,
  runKey: string,
): Promise<readonly ContextMessage[]> {
  return (await readContextRows(database, tenant, runKey)).messages;
}

export async function readContextRows(
  database: Database,
  tenant: string,
  runKey: string,
): Promise<ContextRows> {
  const rows = await database.query<Row>(
    `with compacted as (
       select through_seq, summary_seq from pawl.compactions
       where tenant = $1 and run_key = $2 order by turn desc, generation desc limit 1)
     select t.seq, t.turn, t.role, b.parts, t.hash, c.summary_seq
     from pawl.transcript t
     join pawl.transcript_bodies b using (tenant, run_key, seq)
     left join compacted c on true
     where t.tenant = $1 and t.run_key = $2
       and (t.seq = c.summary_seq or t.source = 'input'
         or (t.source <> '${COMPACTION_SOURCE}' and t.seq > coalesce(c.through_seq, 0)))
     order by case when t.source = 'input' then 0 when t.seq = c.summary_seq then 1 else 2 end, t.seq`,
    [tenant, runKey],
  );
  const last = rows.reduce((one, row) => (row.seq > one.seq ? row : one), NO_ROW);
  return {
    messages: rows.map(({ seq, turn, role, parts }) => toMessage({ seq, turn, role, parts })),
    last: { seq: last.seq, hash: last.hash },
    summarySeq: rows[0]?.summary_seq ?? 0,
    chars: rows.reduce((sum, { parts }) => sum + parts.length, 0),
  };
}

const NO_ROW = { seq: 0, hash: '' };

export function toMessage({
  parts,
  ...place
}: Omit<ContextMessage, 'parts'> & { readonly parts: string }): ContextMessage {
  return { ...place, parts: JSON.parse(parts) as Part[] };
}
