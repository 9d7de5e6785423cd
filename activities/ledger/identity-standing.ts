// What another effect with the same identity means for this one (design, section 4, law 2).
import { standingTowards } from '../../domain/rules/permit.ts';
import type { Transaction } from './database.ts';
import type { EffectRecord, IdentityStanding } from './effect-ledger.ts';
import { type EffectRow, ROW, toRecord } from './effect-rows.ts';

/** How the identity of `record` stands; locked when the answer decides about a send. */
export async function identityStanding(
  tx: Transaction,
  record: EffectRecord,
  lock: '' | 'for update' = '',
): Promise<IdentityStanding> {
  if (record.identityHash === null || record.state.sends > 0) return { kind: 'free' };
  return standingTowards(await readHolder(tx, record, lock), record.fingerprint);
}

/** The other effect that holds this one's identity. */
export async function readHolder(
  tx: Transaction,
  record: EffectRecord,
  lock: '' | 'for update' = '',
): Promise<EffectRecord | undefined> {
  const { rows } = await tx.query<EffectRow>(
    `select ${ROW} from pawl.effects
     where tenant = $1 and tool = $2 and identity_hash = $3 and holds_identity and id <> $4 ${lock}`,
    [record.tenant, record.tool, record.identityHash, record.id],
  );
  return rows[0] && toRecord(rows[0]);
}
