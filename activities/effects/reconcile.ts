// The reconciler: looks after effects whose workflow may be gone, and wakes runs whose rows have moved without them.
import { ABSENTS_NEEDED, nextMove } from '../../domain/rules/next-move.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { type Database, LedgerUnavailable } from '../ledger/database.ts';
import { type EffectLedger, type EffectRecord, toView } from '../ledger/effect-ledger.ts';
import type { Clock } from '../clock.ts';
import type { CrashHook } from './crash-points.ts';
import { namesByKey, namesByReference } from '../ledger/notices.ts';
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

/** So many effects change in one sweep; the next one goes on. Those of live workflows do not count. */
const SWEEP_LIMIT = 200;
/** Half of what the sweep's activity may take. */
const SWEEP_MAX_MS = 60_000;
/** A look at an effect is short statements and perhaps one probe: a receiver that hangs must not hold up the rest. */
const SIDE_BY_SIDE = 5;

/** One sweep. Sends nothing, ever: it probes, doubts, folds in settlements and wakes. */
export async function reconcile(deps: ReconcilerDeps): Promise<SweepReport> {
  // First of all: whoever looks at an effect takes its notices up, and wakes nobody.
  const { settled, unfolded } = await foldWaitingNotices(deps);
  const { failures, ...looks } = await lookAfterOverdue(deps);
  const woken = await wakeWaiting(deps);
  // Told last: one effect that cannot be looked after keeps nobody else waiting.
  const [failure] = [...unfolded, ...failures];
  if (failure !== undefined) throw failure;
  return { ...looks, settled, woken };
}

interface Looks {
  readonly overdue: number;
  readonly probed: number;
  readonly doubted: number;
  readonly failures: readonly unknown[];
}

/** The oldest first. What is left to a live workflow stays overdue: it is passed over, so that none starves behind it. */
async function lookAfterOverdue(deps: ReconcilerDeps): Promise<Looks> {
  const startedAtMs = deps.clock.nowMs();
  const ownership = createOwnership(deps);
  const seen = new Set<string>();
  const count = { probed: 0, doubted: 0, left: 0 };
  const failures: unknown[] = [];
  const look = async (record: EffectRecord): Promise<void> => {
    try {
      count[await lookAfter(deps, record, ownership)] += 1;
    } catch (error) {
      if (error instanceof LedgerUnavailable) throw error;
      failures.push(error);
    }
  };
  for (;;) {
    const free = SWEEP_LIMIT - count.probed - count.doubted;
    const overdue = await deps.ledger.findOverdue(seen.size + free);
    const fresh = overdue.filter(({ tenant, id }) => !seen.has(`${tenant} ${id}`)).slice(0, free);
    for (const { tenant, id } of fresh) seen.add(`${tenant} ${id}`);
    await inParallel(fresh, SIDE_BY_SIDE, look);
    const isLate = deps.clock.nowMs() - startedAtMs > SWEEP_MAX_MS;
    if (fresh.length < free || isLate || count.probed + count.doubted >= SWEEP_LIMIT) break;
  }
  return { overdue: seen.size, probed: count.probed, doubted: count.doubted, failures };
}

async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** Whether some workflow may still go on with the effect; asked once a sweep and workflow. */
type Ownership = (record: EffectRecord) => Promise<boolean>;

function createOwnership({ workflows }: ReconcilerDeps): Ownership {
  const asked = new Map<string, Promise<boolean>>();
  return ({ workflowId }) => {
    if (workflowId === null) return Promise.resolve(false);
    const answer = asked.get(workflowId) ?? workflows.isRunning(workflowId);
    asked.set(workflowId, answer);
    return answer;
  };
}

type Did = 'probed' | 'doubted' | 'left';

async function lookAfter(
  deps: ReconcilerDeps,
  { tenant, id, rootKey }: EffectRecord,
  isOwned: Ownership,
): Promise<Did> {
  const begin = await deps.ledger.begin(tenant, id, rootKey);
  if (!begin) return 'left';
  const { record, nowMs } = begin;
  const move = nextMove(toView(record), nowMs);
  switch (move.kind) {
    case 'probe':
      if (deps.tools.has(record.tool)) return probe(deps, record, nowMs);
      if (await isOwned(record)) return 'left';
      return doubt(deps, record, `this worker has no ${record.tool} to ask with`);
    case 'doubt':
      return doubt(deps, record, `${move.reason}${await tellOwner(record, isOwned)}`);
    case 'send':
    case 'resend':
      // Sending is the run's own business, as long as there is a run.
      return (await isOwned(record)) ? 'left' : concludeOrphan(deps, record, nowMs);
    case 'wait':
    case 'return':
      return 'left';
  }
}

/** Who looks at a doubt wants to know whether a run waits for it; not knowing that keeps no doubt back. */
async function tellOwner(record: EffectRecord, isOwned: Ownership): Promise<string> {
  if (record.workflowId === null) return '';
  const isGone = await isOwned(record).then(
    (owned) => !owned,
    () => false,
  );
  return isGone ? '; its workflow is gone' : '';
}

/** Nobody will send it again: whoever can be asked is asked, and what cannot be known is a doubt. */
function concludeOrphan(deps: ReconcilerDeps, record: EffectRecord, nowMs: number): Promise<Did> {
  const isAbsent = record.state.absents >= ABSENTS_NEEDED;
  if (record.hasProbe && !isAbsent && deps.tools.has(record.tool)) {
    return probe(deps, record, nowMs);
  }
  const what = isAbsent
    ? 'sent, and then the probe did not find it'
    : 'sent without a recorded answer';
  return doubt(deps, record, `${what}, and its workflow is gone: nobody sends it again`);
}

async function probe(deps: ReconcilerDeps, record: EffectRecord, nowMs: number): Promise<Did> {
  const tool = deps.tools.get(record.tool);
  if (!tool) return 'left';
  await probeOnce(deps, tool, record, nowMs);
  return 'probed';
}

/** Left to whoever has changed it since it was looked at. */
async function doubt(deps: ReconcilerDeps, record: EffectRecord, reason: string): Promise<Did> {
  const answer = await deps.ledger.conclude(record, [{ fact: { kind: 'doubted', reason } }]);
  return answer ? 'doubted' : 'left';
}

/** Settlements and callbacks that no fact names yet: their writers may have died before they could wake anybody. */
async function foldWaitingNotices({
  database,
  ledger,
  workflows,
}: ReconcilerDeps): Promise<{ readonly settled: number; readonly unfolded: readonly unknown[] }> {
  const rows = await database.query<NoticeRow>(WAITING_NOTICES, [SWEEP_LIMIT]);
  const unfolded: unknown[] = [];
  for (const row of rows) {
    try {
      await ledger.begin(row.tenant, row.effect_id, row.root_key);
      if (row.workflow_id === null) continue;
      const payload = { v: 1, effect: row.short_id, settlement: row.notice };
      await workflows.signal(row.workflow_id, 'pawl.settled', payload);
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
  notice: string;
  root_key: string;
  short_id: string;
  workflow_id: string | null;
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
  select c.tenant, e.id, c.id, e.root_key, e.short_id, e.workflow_id, c.received_at
  from pawl.callbacks c
  join pawl.effects e on ${isNamed}
  where (e.status in ('dispatched', 'in_doubt') or c.received_at > clock_timestamp() - interval '7 days')
    and not exists (
      select 1 from pawl.effect_facts f
      where f.tenant = e.tenant and f.effect_id = e.id and f.data->>'callback' = c.id)`,
  )
  .join(' union all ');

const WAITING_NOTICES = `
  select s.tenant, s.effect_id, s.id as notice, e.root_key, e.short_id, e.workflow_id, s.settled_at as at
  from pawl.settlements s
  join pawl.effects e on e.tenant = s.tenant and e.id = s.effect_id
  where not exists (
    select 1 from pawl.effect_facts f
    where f.tenant = s.tenant and f.effect_id = s.effect_id and f.data->>'settlement' = s.id)
  union all ${WAITING_CALLBACKS}
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
