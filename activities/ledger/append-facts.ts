// Appends facts and stores their fold: the only code that changes an effect's state.
import type { Fact } from '../../domain/rules/effect.ts';
import type { Json } from '../../domain/rules/json.ts';
import { type Observation, observe } from '../../domain/rules/observe.ts';
import type { Transaction } from './database.ts';
import type { AppendAnswer, EffectRecord, FactEntry } from './effect-ledger.ts';
import { type EffectRow, toRecord } from './effect-rows.ts';
import { readHolder } from './identity-standing.ts';
import { toStorable } from './storable.ts';

/** Reads one effect, locked when asked. */
export async function readEffect(
  tx: Transaction,
  tenant: string,
  id: string,
  lock: '' | 'for update' = '',
): Promise<EffectRecord | undefined> {
  const { rows } = await tx.query<EffectRow>(
    `select * from pawl.effects where tenant = $1 and id = $2 ${lock}`,
    [tenant, id],
  );
  return rows[0] && toRecord(rows[0]);
}

/** Appends in order, folds each into the state, and raises the run's sequence when the outcome becomes definite. */
export async function appendFacts(
  tx: Transaction,
  tenant: string,
  id: string,
  entries: readonly FactEntry[],
): Promise<AppendAnswer> {
  const before = await readEffect(tx, tenant, id, 'for update');
  if (!before) throw new Error(`The ledger does not know the effect ${id}`);
  const fresh: FactEntry[] = [];
  for (const entry of toStorable(entries)) {
    if (await isSaidAlready(tx, tenant, id, entry)) continue;
    fresh.push(entry);
    await insertFact(tx, tenant, id, entry);
  }
  const observation = observe(before, fresh, await isIdentityFree(tx, before));
  const record = await storeObservation(tx, before, observation);
  if (observation.becameDefinite && record.state.status === 'applied') {
    await releaseUndone(tx, record);
  }
  return { record, seq: await readSeq(tx, tenant, before.rootKey, observation.becameDefinite) };
}

/** What was undone may be meant anew: its identity is free again. */
async function releaseUndone(
  tx: Transaction,
  { tenant, compensates }: EffectRecord,
): Promise<void> {
  if (compensates === null) return;
  await tx.query('update pawl.effects set holds_identity = false where tenant = $1 and id = $2', [
    tenant,
    compensates,
  ]);
}

/** Asked only where it may matter: the identity of an effect that has it, or has none, is never looked for. */
async function isIdentityFree(tx: Transaction, record: EffectRecord): Promise<boolean> {
  if (record.holdsIdentity || record.identityHash === null) return true;
  return (await readHolder(tx, record)) === undefined;
}

/** A permit is given back once: an append is repeated when the answer to its commit was lost. */
async function isSaidAlready(
  tx: Transaction,
  tenant: string,
  id: string,
  { fact, fence }: FactEntry,
): Promise<boolean> {
  if (fact.kind !== 'not_sent' || fence === undefined) return false;
  const { rowCount } = await tx.query(
    `select 1 from pawl.effect_facts
     where tenant = $1 and effect_id = $2 and kind = 'not_sent' and fence = $3 limit 1`,
    [tenant, id, fence],
  );
  return rowCount !== 0;
}

async function insertFact(
  tx: Transaction,
  tenant: string,
  id: string,
  entry: FactEntry,
): Promise<void> {
  const { kind, source, data } = splitFact(entry.fact);
  await tx.query(
    `insert into pawl.effect_facts (tenant, effect_id, ordinal, kind, source, attempt, fence, data)
     select $1, $2, coalesce(max(ordinal), 0) + 1, $3, $4, $5, $6, $7
     from pawl.effect_facts where tenant = $1 and effect_id = $2`,
    [
      tenant,
      id,
      kind,
      source,
      entry.attempt ?? null,
      entry.fence ?? null,
      JSON.stringify({ ...data, ...entry.details }),
    ],
  );
}

function splitFact(fact: Fact): { kind: string; source: string; data: Record<string, Json> } {
  const { kind, ...rest } = fact;
  const { source = 'engine', ...data } = rest as { source?: string } & Record<string, Json>;
  return { kind, source, data };
}

async function storeObservation(
  tx: Transaction,
  before: EffectRecord,
  { after, leaseMs }: Observation,
): Promise<EffectRecord> {
  const { state } = after;
  const { rows } = await tx.query<EffectRow>(
    `update pawl.effects set status = $3, sends = $4, absents = $5, has_conflict = $6, is_pending = $7,
       code = $8, reason = $9, output = $10, output_problem = $11, same_as = $12, receiver_reference = $13,
       holds_identity = $14, updated_at = clock_timestamp(),
       lease_until = case when $15::bigint is null then lease_until
         else clock_timestamp() + $15::bigint * interval '1 millisecond' end
     where tenant = $1 and id = $2 returning *`,
    [
      before.tenant,
      before.id,
      state.status,
      state.sends,
      state.absents,
      state.conflict,
      state.isPending ?? false,
      state.code ?? null,
      state.reason ?? null,
      after.output === null ? null : JSON.stringify(after.output),
      after.outputProblem,
      after.sameAs,
      after.reference,
      after.holdsIdentity,
      leaseMs ?? null,
    ],
  );
  const [row] = rows;
  if (!row) throw new Error(`The effect ${before.shortId} vanished under its lock`);
  return toRecord(row);
}

async function readSeq(
  tx: Transaction,
  tenant: string,
  rootKey: string,
  raises: boolean,
): Promise<number> {
  const { rows } = await tx.query<{ seq: number }>(
    raises
      ? `insert into pawl.run_seqs (tenant, root_key, seq) values ($1, $2, 1)
         on conflict (tenant, root_key) do update set seq = run_seqs.seq + 1 returning seq`
      : 'select seq from pawl.run_seqs where tenant = $1 and root_key = $2',
    [tenant, rootKey],
  );
  return rows[0]?.seq ?? 0;
}
