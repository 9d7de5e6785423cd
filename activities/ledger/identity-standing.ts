// What another effect with the same identity means for this one (design, section 4, law 2).
import type { Transaction } from './database.ts';
import type { EffectRecord, IdentityStanding } from './effect-ledger.ts';
import { type EffectRow, toRecord } from './effect-rows.ts';

/** How the identity of `record` stands; locked when the answer decides about a send. */
export async function identityStanding(
  tx: Transaction,
  record: EffectRecord,
  lock: '' | 'for update' = '',
): Promise<IdentityStanding> {
  if (record.identityHash === null || record.state.sends > 0) return { kind: 'free' };
  const { rows } = await tx.query<EffectRow>(
    `select * from pawl.effects
     where tenant = $1 and tool = $2 and identity_hash = $3 and holds_identity and id <> $4 ${lock}`,
    [record.tenant, record.tool, record.identityHash, record.id],
  );
  const [row] = rows;
  if (!row) return { kind: 'free' };
  const holder = toRecord(row);
  if (holder.state.status !== 'applied') {
    return { kind: 'blocked', by: holder.shortId, status: holder.state.status };
  }
  return holder.fingerprint === record.fingerprint
    ? { kind: 'already-applied', by: holder.shortId, output: holder.output }
    : { kind: 'other-arguments', by: holder.shortId };
}
