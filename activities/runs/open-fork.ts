// How a forked run begins: with what was said before the fork, and with the truth about what was done after it.
import type { ForkOrigin } from '../../domain/rules/fork-origin.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { Part, Role } from '../../domain/rules/transcript.ts';
import type { Transaction } from '../ledger/database.ts';
import { appendTranscript, type TranscriptEntry } from '../transcripts/transcript.ts';

interface CopiedRow {
  turn: number;
  role: Role;
  source: string;
  parts: string;
}

/** Copies the source's transcript up to the fork and tells the model what still stands. */
export async function copyTranscript(
  tx: Transaction,
  tenant: string,
  runKey: string,
  origin: ForkOrigin,
): Promise<void> {
  // The results of the turn before are stored with the turn that was shown them.
  const { rows } = await tx.query<CopiedRow>(
    `select t.turn, t.role, t.source, b.parts from pawl.transcript t
     join pawl.transcript_bodies b using (tenant, run_key, seq)
     where t.tenant = $1 and t.run_key = $2
       and (t.turn < $3 or (t.turn = $3 and t.role <> 'assistant')) order by t.seq`,
    [tenant, origin.runKey, origin.turn],
  );
  for (const { turn, role, source, parts } of rows) {
    const entry = { role, source, parts: JSON.parse(parts) as Part[] };
    await appendTranscript(tx, tenant, runKey, turn, [entry]);
  }
  const notes = [...(await standingNote(tx, tenant, origin)), ...messageNote(origin)];
  await appendTranscript(tx, tenant, runKey, origin.turn, notes);
}

interface StandingRow {
  tool: string;
  status: string;
  arguments: Json;
  output: Json;
  short_id: string;
}

/** Without it a model that decides anew would do again what stands. */
async function standingNote(
  tx: Transaction,
  tenant: string,
  { runKey, turn, compensated }: ForkOrigin,
): Promise<readonly TranscriptEntry[]> {
  const { rows } = await tx.query<StandingRow>(
    `select tool, status, arguments, output, short_id from pawl.effects
     where tenant = $1 and run_key = $2 and turn >= $3 and compensates is null
       and status in ('applied', 'in_doubt', 'dispatched') order by turn, length(call), call`,
    [tenant, runKey, turn],
  );
  if (rows.length === 0) return [];
  const lines = rows.map((row) => {
    const what = `${row.tool} ${JSON.stringify(row.arguments)}`;
    if (compensated.includes(row.short_id)) return `- undone: ${what}`;
    return row.status === 'applied'
      ? `- done and still standing: ${what} -> ${JSON.stringify(row.output)}`
      : `- not known whether it happened, do not repeat it: ${what}`;
  });
  const text = `An earlier attempt went on from here. What it did:\n${lines.join('\n')}`;
  return [userEntry('pawl:fork', text)];
}

function messageNote({ message, by }: ForkOrigin): readonly TranscriptEntry[] {
  return message === undefined ? [] : [userEntry(`steer:${by}`, message)];
}

function userEntry(source: string, text: string): TranscriptEntry {
  return { role: 'user', source, parts: [{ kind: 'text', text }] };
}
