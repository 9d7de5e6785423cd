// Turns a human's settlement row into a fact: people write rows, only the engine writes facts.
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

/** Folds in the settlements that no fact names yet; returns the effect as it stands then. */
export async function foldSettlements(
  tx: Transaction,
  record: EffectRecord,
): Promise<EffectRecord> {
  if ((await readWaiting(tx, record)).length === 0) return record;
  // Looked at again under the effect's lock: of several looks at once, one folds them in.
  const locked = await readEffect(tx, record.tenant, record.id, 'for update');
  const rows = await readWaiting(tx, record);
  if (rows.length === 0) return locked ?? record;
  const answer = await appendFacts(tx, record.tenant, record.id, rows.map(toEntry));
  return answer.record;
}

async function readWaiting(
  tx: Transaction,
  { tenant, id }: EffectRecord,
): Promise<readonly SettlementRow[]> {
  const { rows } = await tx.query<SettlementRow>(
    `select s.id, s.outcome, s.output, s.evidence, s.settled_by from pawl.settlements s
     where s.tenant = $1 and s.effect_id = $2 and not exists (
       select 1 from pawl.effect_facts f
       where f.tenant = s.tenant and f.effect_id = s.effect_id and f.data->>'settlement' = s.id)
     order by s.settled_at, s.id`,
    [tenant, id],
  );
  return rows;
}

function toEntry(row: SettlementRow): FactEntry {
  const details = { settlement: row.id, evidence: row.evidence, by: row.settled_by };
  if (row.outcome === 'applied') {
    return { fact: { kind: 'applied', source: 'human', output: row.output }, details };
  }
  const message = `settled as not applied by ${row.settled_by}: ${row.evidence}`;
  return { fact: { kind: 'refused', source: 'human', code: 'not_applied', message }, details };
}
