// The transcript as rows: a hash chain over salted commitments, so that a body can be erased and the chain still holds.
import { createHash, randomBytes } from 'node:crypto';
import type { Part, Role } from '../../domain/rules/transcript.ts';
import { bytesBody, textBody } from '../encryption/sealed-body.ts';
import { inside, type Statements, type Transaction } from '../ledger/database.ts';
import { type Parameters, parameters } from '../ledger/parameters.ts';

/** A message that is to be appended. `source` says where its words come from, for provenance. */
export interface TranscriptEntry {
  readonly role: Role;
  readonly source: string;
  readonly parts: readonly Part[];
}

/** The parent of the first row. */
export const GENESIS_HASH = '0'.repeat(64);

/** The last row of a transcript. */
export interface TranscriptHead {
  readonly seq: number;
  readonly hash: string;
}

/** Before the first row. */
export const EMPTY_TRANSCRIPT: TranscriptHead = { seq: 0, hash: GENESIS_HASH };

/** Appends in order, behind the last row. One writer at a time: the caller holds the run's row. */
export async function appendTranscript(
  tx: Transaction,
  tenant: string,
  runKey: string,
  turn: number,
  entries: readonly TranscriptEntry[],
): Promise<void> {
  const head = await readHead(inside(tx), tenant, runKey);
  const { $, values } = parameters();
  const parts = insertEntries($, { tenant, runKey, turn }, head, entries);
  await tx.query(`with ${parts.join(', ')} select 1`, [...values]);
}

export async function readHead(
  statements: Statements,
  tenant: string,
  runKey: string,
): Promise<TranscriptHead> {
  const [head] = await statements.query<{ seq: number; hash: string }>(
    `select seq, hash from pawl.transcript where tenant = $1 and run_key = $2
     order by seq desc limit 1`,
    [tenant, runKey],
  );
  return head ?? EMPTY_TRANSCRIPT;
}

interface Place {
  readonly tenant: string;
  readonly runKey: string;
  readonly turn: number;
}

/**
 * CTEs that append behind `head`; a row that is there already is a unique violation. With `condition` nothing is written
 * where it does not hold.
 */
export function insertEntries(
  $: Parameters['$'],
  { tenant, runKey, turn }: Place,
  head: TranscriptHead,
  entries: readonly TranscriptEntry[],
  condition = 'true',
): readonly string[] {
  const owner = { tenant, runKey };
  const linked = link(head, turn, entries);
  const place = `${$(tenant)}, ${$(runKey)}`;
  const salts = linked.map(({ salt }) => bytesBody(owner, 'transcript_bodies.salt', salt));
  const bodies = linked.map(({ body }) => textBody(owner, 'transcript_bodies.parts', body));
  const seqs = linked.map(({ row }) => row.seq);
  return [
    `chain as (
      insert into pawl.transcript (tenant, run_key, turn, seq, parent_hash, commitment, hash, role, source)
      select ${place}, ${$(turn)}, e.seq, e."parentHash", e.commitment, e.hash, e.role, e.source
      from jsonb_to_recordset(${$(JSON.stringify(linked.map(({ row }) => row)))}::jsonb)
        e(seq integer, "parentHash" text, commitment text, hash text, role text, source text)
      where ${condition})`,
    `bodies as (
      insert into pawl.transcript_bodies (tenant, run_key, seq, salt, parts)
      select ${place}, b.seq, b.salt, b.parts
      from unnest(${$(seqs)}::integer[], ${$(salts)}::bytea[], ${$(bodies)}::text[]) b(seq, salt, parts)
      where ${condition})`,
  ];
}

interface Linked {
  readonly row: TranscriptHead & {
    readonly parentHash: string;
    readonly commitment: string;
    readonly role: Role;
    readonly source: string;
  };
  readonly salt: Buffer;
  readonly body: string;
}

/** The rows of the chain behind `head`. */
function link(
  head: TranscriptHead,
  turn: number,
  entries: readonly TranscriptEntry[],
): readonly Linked[] {
  let { seq, hash } = head;
  return entries.map(({ role, source, parts }) => {
    seq += 1;
    const parentHash = hash;
    const body = JSON.stringify(parts);
    const salt = randomBytes(16);
    const commitment = commitTo(salt, body);
    hash = chainHash({ parentHash, seq, turn, role, source, commitment });
    return { row: { seq, hash, parentHash, commitment, role, source }, salt, body };
  });
}

/** SHA-256 over salt and body: says nothing about the body once the salt is gone. */
export function commitTo(salt: Buffer, body: string): string {
  return createHash('sha256').update(salt).update(body).digest('hex');
}

/** The hash of a row: over its parent and everything but the body itself. */
export function chainHash(row: {
  readonly parentHash: string;
  readonly seq: number;
  readonly turn: number;
  readonly role: string;
  readonly source: string;
  readonly commitment: string;
}): string {
  const { parentHash, seq, turn, role, source, commitment } = row;
  return createHash('sha256')
    .update(JSON.stringify([parentHash, seq, turn, role, source, commitment]))
    .digest('hex');
}
