// The transcript as rows: a hash chain over salted commitments, so that a body can be erased and the chain still holds.
import { createHash, randomBytes } from 'node:crypto';
import type { Message, Part, Role } from '../../domain/rules/transcript.ts';
import type { Database, Transaction } from '../ledger/database.ts';

/** A message that is to be appended. `source` says where its words come from, for provenance. */
export interface TranscriptEntry {
  readonly role: Role;
  readonly source: string;
  readonly parts: readonly Part[];
}

/** The parent of the first row. */
export const GENESIS_HASH = '0'.repeat(64);

interface BodyRow {
  role: Role;
  parts: string;
}

/** All messages of a run, in order. An erased body leaves no message. */
export async function readTranscript(
  database: Database,
  tenant: string,
  runKey: string,
): Promise<readonly Message[]> {
  const rows = await database.query<BodyRow>(
    `select t.role, b.parts from pawl.transcript t
     join pawl.transcript_bodies b using (tenant, run_key, seq)
     where t.tenant = $1 and t.run_key = $2 order by t.seq`,
    [tenant, runKey],
  );
  return rows.map(({ role, parts }) => ({ role, parts: JSON.parse(parts) as Part[] }));
}

/** Appends in order, behind the last row. One writer at a time: the caller holds the run's row. */
export async function appendTranscript(
  tx: Transaction,
  tenant: string,
  runKey: string,
  turn: number,
  entries: readonly TranscriptEntry[],
): Promise<void> {
  const { rows } = await tx.query<{ seq: number; hash: string }>(
    `select seq, hash from pawl.transcript where tenant = $1 and run_key = $2
     order by seq desc limit 1`,
    [tenant, runKey],
  );
  let { seq, hash } = rows[0] ?? { seq: 0, hash: GENESIS_HASH };
  for (const { role, source, parts } of entries) {
    seq += 1;
    const body = JSON.stringify(parts);
    const salt = randomBytes(16);
    const commitment = commitTo(salt, body);
    const parentHash = hash;
    hash = chainHash({ parentHash, seq, turn, role, source, commitment });
    await tx.query(
      `insert into pawl.transcript
         (tenant, run_key, seq, turn, parent_hash, commitment, hash, role, source)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [tenant, runKey, seq, turn, parentHash, commitment, hash, role, source],
    );
    await tx.query(
      'insert into pawl.transcript_bodies (tenant, run_key, seq, salt, parts) values ($1, $2, $3, $4, $5)',
      [tenant, runKey, seq, salt, body],
    );
  }
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
