// What the model is shown, remembered from turn to turn: rows of a transcript never change, so only new ones are read.
import type { Role } from '../../domain/rules/transcript.ts';
import { type BoundedMap, createBoundedMap } from '../bounded-map.ts';
import type { Database } from '../ledger/database.ts';
import {
  COMPACTION_SOURCE,
  type ContextMessage,
  type ContextRows,
  readContextRows,
  toMessage,
} from './context.ts';

/** Of all runs together; a worker that has none of a run reads it from the database. */
const CHARS_MAX = 16_000_000;

const memories = new WeakMap<Database, BoundedMap<string, ContextRows>>();

function memoryOf(database: Database): BoundedMap<string, ContextRows> {
  const memory =
    memories.get(database) ?? createBoundedMap(CHARS_MAX, ({ chars }: ContextRows) => chars);
  memories.set(database, memory);
  return memory;
}

/** A run that has ended is shown to no model again. */
export function forgetContext(database: Database, tenant: string, runKey: string): void {
  memories.get(database)?.delete(`${tenant} ${runKey}`);
}

/** What this process has last seen of the run; undefined: nothing. */
export function recallContext(
  database: Database,
  tenant: string,
  runKey: string,
): ContextRows | undefined {
  return memories.get(database)?.get(`${tenant} ${runKey}`);
}

/** What has come behind a row, as `addedBehind` asks for it. */
export interface AddedRows {
  /** Of that row. */
  known_hash: string | null;
  summary_seq: number;
  added: readonly { seq: number; turn: number; role: Role; parts: string; hash: string }[] | null;
}

/** As `readContext`. */
export async function rememberContext(
  database: Database,
  tenant: string,
  runKey: string,
): Promise<readonly ContextMessage[]> {
  const context = await readContextRows(database, tenant, runKey);
  memoryOf(database).set(`${tenant} ${runKey}`, context);
  return context.messages;
}

/** The same from what is known and what has come since; what was compacted, erased or restored meanwhile is read anew. */
export async function rememberSince(
  database: Database,
  { tenant, runKey }: { readonly tenant: string; readonly runKey: string },
  known: ContextRows,
  since: AddedRows,
): Promise<readonly ContextMessage[]> {
  const context = addTo(known, since);
  if (!context) return rememberContext(database, tenant, runKey);
  memoryOf(database).set(`${tenant} ${runKey}`, context);
  return context.messages;
}

/** Undefined when what is known no longer holds: its last row has another hash, or no body, or a summary is new. */
function addTo(known: ContextRows, row: AddedRows): ContextRows | undefined {
  if (row.known_hash !== known.last.hash || row.summary_seq !== known.summarySeq) return undefined;
  const added = row.added ?? [];
  const { seq, hash } = added.at(-1) ?? known.last;
  return {
    messages: [...known.messages, ...added.map(({ hash: _, ...each }) => toMessage(each))],
    last: { seq, hash },
    summarySeq: known.summarySeq,
    chars: added.reduce((sum, { parts }) => sum + parts.length, known.chars),
  };
}

/**
 * Columns: what came behind row `seq` of run `$2` of tenant `$1`. Each body by its key: a plan that takes the new rows for
 * many would join the bodies of the whole run.
 */
export function addedBehind(seq: string): string {
  return `
    (select t.hash from pawl.transcript t join pawl.transcript_bodies b using (tenant, run_key, seq)
      where t.tenant = $1 and t.run_key = $2 and t.seq = ${seq}) as known_hash,
    coalesce((select c.summary_seq from pawl.compactions c
      where c.tenant = $1 and c.run_key = $2 order by c.turn desc, c.generation desc limit 1), 0) as summary_seq,
    (select json_agg(json_build_object(
        'seq', t.seq, 'turn', t.turn, 'role', t.role, 'parts', b.parts, 'hash', t.hash) order by t.seq)
      from pawl.transcript t
      cross join lateral (select x.parts from pawl.transcript_bodies x
        where x.tenant = $1 and x.run_key = $2 and x.seq = t.seq offset 0) b
      where t.tenant = $1 and t.run_key = $2 and t.seq > ${seq} and t.source <> '${COMPACTION_SOURCE}') as added`;
}
