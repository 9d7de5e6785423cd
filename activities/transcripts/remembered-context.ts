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

/** As `readContext`; what was compacted, erased or restored meanwhile is read anew. */
export async function rememberContext(
  database: Database,
  tenant: string,
  runKey: string,
): Promise<readonly ContextMessage[]> {
  const memory = memoryOf(database);
  const key = `${tenant} ${runKey}`;
  const known = memory.get(key);
  const context =
    (known && (await readOn(database, tenant, runKey, known))) ??
    (await readContextRows(database, tenant, runKey));
  memory.set(key, context);
  return context.messages;
}

interface Row {
  hash: string | null;
  summary_seq: number;
  added: readonly { seq: number; turn: number; role: Role; parts: string; hash: string }[] | null;
}

/** Undefined when what is known no longer holds: its last row has another hash, or no body, or a summary is new. */
async function readOn(
  database: Database,
  tenant: string,
  runKey: string,
  known: ContextRows,
): Promise<ContextRows | undefined> {
  const [row] = await database.query<Row>(ADDED, [tenant, runKey, known.last.seq]);
  if (row?.hash !== known.last.hash || row.summary_seq !== known.summarySeq) return undefined;
  const added = row.added ?? [];
  const { seq, hash } = added.at(-1) ?? known.last;
  return {
    messages: [...known.messages, ...added.map(({ hash: _, ...each }) => toMessage(each))],
    last: { seq, hash },
    summarySeq: known.summarySeq,
    chars: added.reduce((sum, { parts }) => sum + parts.length, known.chars),
  };
}

const ADDED = `select
    (select t.hash from pawl.transcript t join pawl.transcript_bodies b using (tenant, run_key, seq)
      where t.tenant = $1 and t.run_key = $2 and t.seq = $3) as hash,
    coalesce((select c.summary_seq from pawl.compactions c
      where c.tenant = $1 and c.run_key = $2 order by c.turn desc, c.generation desc limit 1), 0) as summary_seq,
    (select json_agg(json_build_object(
        'seq', t.seq, 'turn', t.turn, 'role', t.role, 'parts', b.parts, 'hash', t.hash) order by t.seq)
      from pawl.transcript t join pawl.transcript_bodies b using (tenant, run_key, seq)
      where t.tenant = $1 and t.run_key = $2 and t.seq > $3 and t.source <> '${COMPACTION_SOURCE}') as added`;
