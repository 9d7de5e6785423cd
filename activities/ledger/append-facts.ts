// Appends facts and stores their fold: the only code that changes an effect's state.
import { foldFact, isSettled } from '../../domain/rules/effect.ts';
import type { EffectState, Fact } from '../../domain/rules/effect.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { Transaction } from './database.ts';
import type { AppendAnswer, EffectRecord, FactEntry } from './effect-ledger.ts';
import { type EffectRow, toRecord } from './effect-rows.ts';
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
  observed: readonly FactEntry[],
): Promise<AppendAnswer> {
  const before = await readEffect(tx, tenant, id, 'for update');
  if (!before) throw new Error(`The ledger does not know the effect ${id}`);
  const entries = toStorable(observed);
  let { state } = before;
  for (const entry of entries) {
    if (await isSaidAlready(tx, tenant, id, entry)) continue;
    state = foldFact(state, entry.fact);
    await insertFact(tx, tenant, id, entry);
  }
  const record = await storeState(tx, before, state, entries);
  const becameDefinite = !isSettled(before.state.status) && isSettled(state.status);
  return { record, seq: await readSeq(tx, tenant, before.rootKey, becameDefinite) };
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

async function storeState(
  tx: Transaction,
  before: EffectRecord,
  state: EffectState,
  entries: readonly FactEntry[],
): Promise<EffectRecord> {
  // The first applied outcome stands: what a workflow was told once, it is told for ever.
  const applied = before.state.status === 'applied' ? undefined : firstApplied(entries);
  const keepsIdentity = state.status !== 'refused' && state.status !== 'intended';
  // Without a permit, too: what was written by other means, or is known as applied after all, happened.
  const takesIdentity = state.status === 'in_doubt' || state.status === 'applied';
  const { rows } = await tx.query<EffectRow>(
    `update pawl.effects set status = $3, sends = $4, absents = $5, has_conflict = $6, reason = $7,
       output = coalesce($8, output), output_problem = coalesce($9, output_problem),
       holds_identity = $10 and (holds_identity or ($13 and identity_hash is not null and not exists (
         select 1 from pawl.effects other
         where other.tenant = effects.tenant and other.tool = effects.tool
           and other.identity_hash = effects.identity_hash and other.holds_identity))),
       code = $11, lease_until = case when $12 then clock_timestamp() else lease_until end,
       same_as = coalesce(same_as, $14), updated_at = clock_timestamp()
     where tenant = $1 and id = $2 returning *`,
    [
      before.tenant,
      before.id,
      state.status,
      state.sends,
      state.absents,
      state.conflict,
      state.reason ?? null,
      applied ? JSON.stringify(applied.output) : null,
      applied?.problem ?? null,
      keepsIdentity,
      state.code ?? null,
      endsLease(before, entries),
      takesIdentity,
      entries.find(({ details }) => details?.['sameAs'] !== undefined)?.details?.['sameAs'] ?? null,
    ],
  );
  const [row] = rows;
  if (!row) throw new Error(`The effect ${before.shortId} vanished under its lock`);
  return toRecord(row);
}

/** The holder of the claim says that it has stopped waiting: nobody else needs to wait for it. */
function endsLease(record: EffectRecord, entries: readonly FactEntry[]): boolean {
  return entries.some(({ fact, fence }) => fact.kind === 'ambiguous' && fence === record.fence);
}

function firstApplied(
  entries: readonly FactEntry[],
): { output: Json; problem: string | undefined } | undefined {
  for (const { fact, outputProblem } of entries) {
    if (fact.kind === 'applied') return { output: fact.output, problem: outputProblem };
  }
  return undefined;
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
