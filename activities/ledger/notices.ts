// Turns what people and receivers have written about an effect into facts: they write rows, only the engine writes facts.
import type { Json } from '../../domain/rules/json.ts';
import { appendFacts, readEffect } from './append-facts.ts';
import type { Transaction } from './database.ts';
import type { EffectRecord, FactEntry } from './effect-ledger.ts';

interface SettlementRow {
  id: string;
  outcome: 'applied' | 'not_applied';
  output: Json;
  evidence: string;
  settled_by: string;
}

interface CallbackRow {
  id: string;
  outcome: 'applied' | 'refused';
  output: Json;
  code: string | null;
  message: string | null;
}

/** Folds in the settlements and callbacks that no fact names yet; returns the effect as it stands then. */
export async function foldNotices(tx: Transaction, record: EffectRecord): Promise<EffectRecord> {
  if ((await readWaiting(tx, record)).length === 0) return record;
  // Looked at again under the effect's lock: of several looks at once, one folds them in.
  const locked = (await readEffect(tx, record.tenant, record.id, 'for update')) ?? record;
  const entries = await readWaiting(tx, locked);
  if (entries.length === 0) return locked;
  return (await appendFacts(tx, record.tenant, record.id, entries)).record;
}

async function readWaiting(tx: Transaction, record: EffectRecord): Promise<readonly FactEntry[]> {
  // A human's word comes last: on a contradiction it is the one that ends it.
  return [...(await readCallbacks(tx, record)), ...(await readSettlements(tx, record))];
}

async function readSettlements(
  tx: Transaction,
  { tenant, id }: EffectRecord,
): Promise<readonly FactEntry[]> {
  const { rows } = await tx.query<SettlementRow>(
    `select s.id, s.outcome, s.output, s.evidence, s.settled_by from pawl.settlements s
     where s.tenant = $1 and s.effect_id = $2 and not exists (
       select 1 from pawl.effect_facts f
       where f.tenant = s.tenant and f.effect_id = s.effect_id and f.data->>'settlement' = s.id)
     order by s.settled_at, s.id`,
    [tenant, id],
  );
  return rows.map(toSettledEntry);
}

/** The effect that a callback `c` may mean, as SQL expressions: columns or parameters. */
interface MeantBy {
  readonly tenant: string;
  readonly id: string;
  readonly tool: string;
  readonly wireKey: string;
  readonly reference: string;
}

/** Where the receiver names the key, the key decides. */
export function namesByKey({ tenant, tool, wireKey }: MeantBy): string {
  return `c.tenant = ${tenant} and c.tool = ${tool} and c.wire_key = ${wireKey}`;
}

/** Its own reference counts when no other effect of the tool has the same: whom it means then is not guessed. */
export function namesByReference({ tenant, id, tool, reference }: MeantBy): string {
  return `c.tenant = ${tenant} and c.tool = ${tool} and c.wire_key is null and c.reference = ${reference}
    and not exists (
      select 1 from pawl.effects other
      where other.tenant = ${tenant} and other.tool = ${tool} and other.id <> ${id}
        and other.receiver_reference = c.reference)`;
}

const MEANT_BY_ROW = {
  tenant: 'e.tenant',
  id: 'e.id',
  tool: 'e.tool',
  wireKey: 'e.wire_key',
  reference: 'e.receiver_reference',
};

function isUnsaid(kind: 'settlement' | 'callback', id: string): string {
  return `not exists (
    select 1 from pawl.effect_facts f
    where f.tenant = e.tenant and f.effect_id = e.id and f.data->>'${kind}' = ${id})`;
}

/** Whether somebody has written about an effect `e` what no fact names yet; each part by an index of its own. */
export const IS_NOTICED = `(
  exists (select 1 from pawl.settlements s
    where s.tenant = e.tenant and s.effect_id = e.id and ${isUnsaid('settlement', 's.id')})
  or exists (select 1 from pawl.callbacks c
    where ${namesByKey(MEANT_BY_ROW)} and ${isUnsaid('callback', 'c.id')})
  or (e.receiver_reference is not null and exists (select 1 from pawl.callbacks c
    where ${namesByReference(MEANT_BY_ROW)} and ${isUnsaid('callback', 'c.id')})))`;

const MEANT = { tenant: '$1', id: '$2', tool: '$3', wireKey: '$4', reference: '$5' };

async function readCallbacks(
  tx: Transaction,
  { tenant, id, tool, wireKey, reference }: EffectRecord,
): Promise<readonly FactEntry[]> {
  const { rows } = await tx.query<CallbackRow>(
    `select c.id, c.outcome, c.output, c.code, c.message from pawl.callbacks c
     where (${namesByKey(MEANT)} or ${namesByReference(MEANT)}) and not exists (
       select 1 from pawl.effect_facts f
       where f.tenant = c.tenant and f.effect_id = $2 and f.data->>'callback' = c.id)
     order by c.received_at, c.id`,
    [tenant, id, tool, wireKey, reference],
  );
  return rows.map(toCallbackEntry);
}

function toSettledEntry(row: SettlementRow): FactEntry {
  const details = { settlement: row.id, evidence: row.evidence, by: row.settled_by };
  if (row.outcome === 'applied') {
    return { fact: { kind: 'applied', source: 'human', output: row.output }, details };
  }
  const message = `settled as not applied by ${row.settled_by}: ${row.evidence}`;
  return { fact: { kind: 'refused', source: 'human', code: 'not_applied', message }, details };
}

function toCallbackEntry(row: CallbackRow): FactEntry {
  const details = { callback: row.id };
  if (row.outcome === 'applied') {
    return { fact: { kind: 'applied', source: 'webhook', output: row.output }, details };
  }
  const code = row.code ?? 'refused';
  const message = row.message ?? code;
  return { fact: { kind: 'refused', source: 'webhook', code, message }, details };
}
