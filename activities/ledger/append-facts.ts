// Appends facts with their fold: by one statement on an effect that is as it was seen, otherwise under its lock.
import { type Observation, observe } from '../../domain/rules/observe.ts';
import { type Database, inside, type QueryOptions, type Transaction } from './database.ts';
import type { AppendAnswer, EffectRecord, FactEntry } from './effect-ledger.ts';
import { type EffectRow, ROW, toRecord } from './effect-rows.ts';
import { readHolder } from './identity-standing.ts';
import { toStorable } from './storable.ts';
import { storeFacts, unlessRaceLost } from './store-facts.ts';

/** Reads one effect, locked when asked. */
export async function readEffect(
  tx: Transaction,
  tenant: string,
  id: string,
  lock: '' | 'for update' = '',
): Promise<EffectRecord | undefined> {
  const { rows } = await tx.query<EffectRow>(
    `select ${ROW} from pawl.effects where tenant = $1 and id = $2 ${lock}`,
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
  return appendToLocked(tx, before, entries);
}

/** The same for what was concluded from `seen`; undefined when that has changed since: then nothing has happened. */
export async function concludeFacts(
  tx: Transaction,
  seen: EffectRecord,
  entries: readonly FactEntry[],
): Promise<AppendAnswer | undefined> {
  const before = await readEffect(tx, seen.tenant, seen.id, 'for update');
  return before?.version === seen.version ? appendToLocked(tx, before, entries) : undefined;
}

async function appendToLocked(
  tx: Transaction,
  before: EffectRecord,
  entries: readonly FactEntry[],
): Promise<AppendAnswer> {
  const fresh: FactEntry[] = [];
  for (const entry of toStorable(entries)) {
    if (!(await isSaidAlready(tx, before, entry, fresh))) fresh.push(entry);
  }
  const observation = observe(before, fresh, await isIdentityFree(tx, before));
  const answer = await storeFacts(inside(tx), before, { entries: fresh, observation });
  if (!answer) throw new Error(`The effect ${before.shortId} vanished under its lock`);
  if (isUndoing(before, observation)) await releaseUndone(tx, before);
  return answer;
}

/**
 * The same by one statement, on the effect as the caller has seen it; undefined when it has changed since, or when more
 * than the effect itself has to be looked at: then nothing has happened.
 */
export function appendToSeen(
  database: Database,
  seen: EffectRecord,
  entries: readonly FactEntry[],
  options?: QueryOptions,
): Promise<AppendAnswer | undefined> {
  const fresh = toStorable(entries);
  const observation = observe(seen, fresh, true);
  const takesIdentity = observation.after.holdsIdentity && !seen.holdsIdentity;
  const isRepeatable = fresh.some(({ fact }) => fact.kind === 'not_sent');
  if (takesIdentity || isRepeatable || isUndoing(seen, observation)) {
    return Promise.resolve(undefined);
  }
  return unlessRaceLost(storeFacts(database, seen, { entries: fresh, observation }, options));
}

function isUndoing({ compensates }: EffectRecord, { becameDefinite, after }: Observation): boolean {
  return compensates !== null && becameDefinite && after.state.status === 'applied';
}

/** What was undone may be meant anew: its identity is free again. */
async function releaseUndone(
  tx: Transaction,
  { tenant, compensates }: EffectRecord,
): Promise<void> {
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
  { tenant, id }: EffectRecord,
  { fact, fence }: FactEntry,
  fresh: readonly FactEntry[],
): Promise<boolean> {
  if (fact.kind !== 'not_sent' || fence === undefined) return false;
  if (fresh.some((said) => said.fact.kind === 'not_sent' && said.fence === fence)) return true;
  const { rowCount } = await tx.query(
    `select 1 from pawl.effect_facts
     where tenant = $1 and effect_id = $2 and kind = 'not_sent' and fence = $3 limit 1`,
    [tenant, id, fence],
  );
  return rowCount !== 0;
}
