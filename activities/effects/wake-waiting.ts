// Wakes workflows whose rows have moved without them: signals may be lost, so what they say is read from the ledger.
import { type Database, LedgerUnavailable } from '../ledger/database.ts';
import type { EffectLedger } from '../ledger/effect-ledger.ts';
import { namesByKey, namesByReference } from '../ledger/notices.ts';
import type { WorkflowsPort } from './reconcile.ts';

export interface WakeDeps {
  readonly database: Database;
  readonly ledger: EffectLedger;
  readonly workflows: WorkflowsPort;
}

/** Of each kind in one sweep; the next one goes on. */
const NOTICES_MAX = 200;

/** Settlements and callbacks that no fact names yet: their writers may have died before they could wake anybody. */
export async function foldWaitingNotices({
  database,
  ledger,
}: WakeDeps): Promise<{ readonly settled: number; readonly unfolded: readonly unknown[] }> {
  const rows = await database.query<NoticeRow>(WAITING_NOTICES, [NOTICES_MAX]);
  const unfolded: unknown[] = [];
  for (const row of rows) {
    try {
      await ledger.begin(row.tenant, row.effect_id, row.root_key);
    } catch (error) {
      if (error instanceof LedgerUnavailable) throw error;
      unfolded.push(error);
    }
  }
  return { settled: rows.length - unfolded.length, unfolded };
}

interface NoticeRow {
  tenant: string;
  effect_id: string;
  root_key: string;
}

const EFFECT = {
  tenant: 'e.tenant',
  id: 'e.id',
  tool: 'e.tool',
  wireKey: 'e.wire_key',
  reference: 'e.receiver_reference',
};

/** Two joins, each by its index: one join by this or that reads everything against everything. */
const WAITING_CALLBACKS = [namesByKey(EFFECT), namesByReference(EFFECT)]
  .map(
    (isNamed) => `
  select c.tenant, e.id, e.root_key, c.received_at
  from pawl.callbacks c
  join pawl.effects e on ${isNamed}
  where (e.status in ('dispatched', 'in_doubt') or c.received_at > clock_timestamp() - interval '7 days')
    and not exists (
      select 1 from pawl.effect_facts f
      where f.tenant = e.tenant and f.effect_id = e.id and f.data->>'callback' = c.id)`,
  )
  .join(' union all ');

const WAITING_NOTICES = `
  select s.tenant, s.effect_id, e.root_key, s.settled_at as at
  from pawl.settlements s
  join pawl.effects e on e.tenant = s.tenant and e.id = s.effect_id
  where not exists (
    select 1 from pawl.effect_facts f
    where f.tenant = s.tenant and f.effect_id = s.effect_id and f.data->>'settlement' = s.id)
  union all ${WAITING_CALLBACKS}
  order by at limit $1`;

/** Signals may be lost with a client that died between its row and its signal: rows are signalled until consumed. */
export async function wakeDecided({ database, workflows }: WakeDeps): Promise<number> {
  const decided = await database.query<{ workflow_id: string; id: string; decision_id: string }>(
    `select a.workflow_id, a.id, d.id as decision_id from pawl.decisions d
     join pawl.approvals a on a.tenant = d.tenant and a.id = d.approval_id
     join pawl.effects e on e.tenant = a.tenant and e.id = a.effect_id
     where e.status = 'intended' and d.decided_at < clock_timestamp() - interval '5 seconds'
     order by d.decided_at desc limit $1`,
    [NOTICES_MAX],
  );
  let woken = 0;
  for (const row of decided) {
    const payload = { v: 1, approval: row.id, decision: row.decision_id };
    if (await workflows.signal(row.workflow_id, 'pawl.decided', payload)) woken += 1;
  }
  return woken;
}

/**
 * Signals the workflows that wait for what has become definite, each until one signal has been taken; also those behind
 * it with the same intention. Failures are added to `failures`.
 */
export async function wakeSettled(
  { ledger, workflows }: WakeDeps,
  failures: unknown[],
): Promise<number> {
  let woken = 0;
  for (const { tenant, id, waiters } of await ledger.findToWake(NOTICES_MAX)) {
    try {
      for (const { effect, workflowId } of waiters) {
        const payload = { v: 1, effect, settlement: '' };
        if (await workflows.signal(workflowId, 'pawl.settled', payload)) woken += 1;
      }
      await ledger.noteWoken(tenant, id);
    } catch (error) {
      if (error instanceof LedgerUnavailable) throw error;
      failures.push(error);
    }
  }
  return woken;
}
