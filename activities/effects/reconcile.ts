// The reconciler: looks after effects whose workflow may be gone, and wakes runs whose rows have moved without them.
import { nextMove } from '../../domain/rules/next-move.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Database } from '../ledger/database.ts';
import { type EffectLedger, type EffectRecord, toView } from '../ledger/effect-ledger.ts';
import type { Clock } from '../clock.ts';
import type { CrashHook } from './crash-points.ts';
import { meansEffect } from '../ledger/notices.ts';
import { probeOnce } from './probe.ts';

export interface ReconcilerDeps {
  readonly database: Database;
  readonly ledger: EffectLedger;
  readonly tools: ReadonlyMap<string, AnyTool>;
  readonly wire: typeof fetch;
  readonly crash: CrashHook;
  readonly clock: Clock;
  readonly workflows: WorkflowsPort;
}

/** What the reconciler asks of Temporal. */
export interface WorkflowsPort {
  isRunning(workflowId: string): Promise<boolean>;
  /** False when nobody is there to be woken. */
  signal(workflowId: string, signal: string, payload: object): Promise<boolean>;
}

/** What one sweep did, for its own history and for `pawl doctor`. */
export interface SweepReport {
  readonly overdue: number;
  readonly probed: number;
  readonly doubted: number;
  readonly settled: number;
  readonly woken: number;
}

const SWEEP_LIMIT = 200;

/** One sweep. Sends nothing, ever: it probes, doubts, folds in settlements and wakes. */
export async function reconcile(deps: ReconcilerDeps): Promise<SweepReport> {
  const report = { overdue: 0, probed: 0, doubted: 0, settled: 0, woken: 0 };
  // First of all: whoever looks at an effect takes its notices up, and wakes nobody.
  report.settled = await foldWaitingNotices(deps);
  for (const record of await deps.ledger.findOverdue(SWEEP_LIMIT)) {
    report.overdue += 1;
    const did = await lookAfter(deps, record);
    if (did === 'probed') report.probed += 1;
    if (did === 'doubted') report.doubted += 1;
  }
  report.woken = await wakeWaiting(deps);
  return report;
}

async function lookAfter(
  deps: ReconcilerDeps,
  record: EffectRecord,
): Promise<'probed' | 'doubted' | 'left'> {
  const begin = await deps.ledger.begin(record.tenant, record.id, record.rootKey);
  if (!begin) return 'left';
  const move = nextMove(toView(begin.record), begin.nowMs);
  switch (move.kind) {
    case 'probe': {
      const tool = deps.tools.get(record.tool);
      if (!tool)
        return doubtIfOrphan(deps, record, `this worker has no ${record.tool} to ask with`);
      const seen = await probeOnce(deps, tool, begin.record, begin.nowMs);
      await deps.ledger.append(record.tenant, record.id, seen);
      return 'probed';
    }
    case 'doubt':
      return doubt(deps, record, move.reason);
    case 'send':
    case 'resend':
      // Sending is the run's own business, as long as there is a run.
      return doubtIfOrphan(
        deps,
        record,
        'sent without a recorded answer, and its workflow is gone',
      );
    case 'wait':
    case 'return':
      return 'left';
  }
}

async function doubtIfOrphan(
  deps: ReconcilerDeps,
  record: EffectRecord,
  reason: string,
): Promise<'doubted' | 'left'> {
  return (await hasOwner(deps, record)) ? 'left' : doubt(deps, record, reason);
}

function hasOwner(deps: ReconcilerDeps, { workflowId }: EffectRecord): Promise<boolean> {
  return workflowId === null ? Promise.resolve(false) : deps.workflows.isRunning(workflowId);
}

async function doubt(
  deps: ReconcilerDeps,
  record: EffectRecord,
  reason: string,
): Promise<'doubted'> {
  await deps.ledger.append(record.tenant, record.id, [{ fact: { kind: 'doubted', reason } }]);
  return 'doubted';
}

/** Settlements and callbacks that no fact names yet: their writers may have died before they could wake anybody. */
async function foldWaitingNotices({
  database,
  ledger,
  workflows,
}: ReconcilerDeps): Promise<number> {
  const rows = await database.query<NoticeRow>(WAITING_NOTICES, [SWEEP_LIMIT]);
  for (const row of rows) {
    await ledger.begin(row.tenant, row.effect_id, row.root_key);
    if (row.workflow_id === null) continue;
    const payload = { v: 1, effect: row.short_id, settlement: row.notice };
    await workflows.signal(row.workflow_id, 'pawl.settled', payload);
  }
  return rows.length;
}

interface NoticeRow {
  tenant: string;
  effect_id: string;
  notice: string;
  root_key: string;
  short_id: string;
  workflow_id: string | null;
}

const MEANT = {
  tenant: 'e.tenant',
  id: 'e.id',
  tool: 'e.tool',
  wireKey: 'e.wire_key',
  reference: 'e.receiver_reference',
};

const WAITING_NOTICES = `
  select s.tenant, s.effect_id, s.id as notice, e.root_key, e.short_id, e.workflow_id, s.settled_at as at
  from pawl.settlements s
  join pawl.effects e on e.tenant = s.tenant and e.id = s.effect_id
  where not exists (
    select 1 from pawl.effect_facts f
    where f.tenant = s.tenant and f.effect_id = s.effect_id and f.data->>'settlement' = s.id)
  union all
  select c.tenant, e.id, c.id, e.root_key, e.short_id, e.workflow_id, c.received_at
  from pawl.callbacks c
  join pawl.effects e on ${meansEffect(MEANT)}
  where not exists (
    select 1 from pawl.effect_facts f
    where f.tenant = e.tenant and f.effect_id = e.id and f.data->>'callback' = c.id)
  order by at limit $1`;

/** Signals may be lost with a client that died between its row and its signal: rows are signalled until consumed. */
async function wakeWaiting({ database, workflows }: ReconcilerDeps): Promise<number> {
  const decided = await database.query<{ workflow_id: string; id: string; decision_id: string }>(
    `select a.workflow_id, a.id, d.id as decision_id from pawl.decisions d
     join pawl.approvals a on a.tenant = d.tenant and a.id = d.approval_id
     join pawl.effects e on e.tenant = a.tenant and e.id = a.effect_id
     where e.status = 'intended' and d.decided_at < clock_timestamp() - interval '5 seconds'
     order by d.decided_at desc limit $1`,
    [SWEEP_LIMIT],
  );
  let woken = 0;
  for (const row of decided) {
    const payload = { v: 1, approval: row.id, decision: row.decision_id };
    if (await workflows.signal(row.workflow_id, 'pawl.decided', payload)) woken += 1;
  }
  return woken;
}
