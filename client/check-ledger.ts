// Checks of `doctor` on what stands in the ledger: sweeps, overdue effects, doubts, stuck runs.
import type { ClientContext } from './context.ts';
import { UNATTENDED } from './effect-views.ts';
import { isPawlError } from './errors.ts';
import type { HealthCheck } from './health-check.ts';
import { listStuckRuns } from './stuck-runs.ts';

export const LEDGER_CHECKS = ['sweeps', 'overdue', 'doubts', 'stuck'] as const;

type Outcome = Omit<HealthCheck, 'name'>;

/** Each by itself: one that cannot be made leaves the others. */
export function checkStanding(context: ClientContext): Promise<readonly HealthCheck[]> {
  const checks: Readonly<Record<(typeof LEDGER_CHECKS)[number], () => Promise<Outcome>>> = {
    sweeps: () => checkSweeps(context),
    overdue: () => checkOverdue(context),
    doubts: () => checkDoubts(context),
    stuck: () => checkStuck(context),
  };
  return Promise.all(
    LEDGER_CHECKS.map(async (name) => {
      try {
        return { name, ...(await checks[name]()) };
      } catch (error) {
        if (!isPawlError(error)) throw error;
        return { name, status: 'unknown', detail: `not looked at: ${error.message}` } as const;
      }
    }),
  );
}

interface SweepRow {
  readonly worker: string | null;
  readonly agoS: number | null;
  readonly report: Readonly<Record<string, number>> | null;
  readonly failedAgoS: number | null;
  readonly failure: string | null;
  /** Since when some worker of the queue is live; null: none is. */
  readonly workerS: number | null;
}

/** Sweeps come every 30 s, unless a worker is told otherwise. */
const SWEEP_LATE_S = 300;
/** A worker that has just been started has not swept yet. */
const FIRST_SWEEP_S = 120;

async function checkSweeps({ database, taskQueue }: ClientContext): Promise<Outcome> {
  const [row] = await database.query<SweepRow>(
    `select s.worker, s.report, s.failure,
       extract(epoch from clock_timestamp() - s.ended_at)::float8 as "agoS",
       extract(epoch from clock_timestamp() - s.failed_at)::float8 as "failedAgoS",
       (select extract(epoch from clock_timestamp() - min(w.started_at))::float8 from pawl.workers w
         where w.task_queue = $1 and w.seen_at > clock_timestamp() - interval '60 seconds') as "workerS"
     from (values (1)) one left join pawl.sweeps s on s.task_queue = $1`,
    [taskQueue],
  );
  return judgeSweeps(row, taskQueue);
}

/** Exported for its test. */
export function judgeSweeps(row: SweepRow | undefined, taskQueue: string): Outcome {
  const { worker, agoS = null, report, failedAgoS = null, failure, workerS = null } = row ?? {};
  const advice =
    'Nobody looks after effects whose workflow is gone. See the schedule `pawl-reconciler-' +
    `${taskQueue}\` in Temporal (is it paused?) and the log of the workers.`;
  if (failedAgoS !== null) {
    const last = agoS === null ? 'none has come to its end yet' : `the last good one ${ago(agoS)}`;
    const detail = `the last sweep failed ${ago(failedAgoS)} (${worker ?? '?'}): ${failure ?? ''}; ${last}`;
    return { status: 'warn', detail, advice };
  }
  if (agoS === null) {
    if (workerS === null) return { status: 'warn', detail: 'none yet: no worker is live', advice };
    const detail = `none yet, and a worker has been live for ${Math.round(workerS)} s`;
    return workerS > FIRST_SWEEP_S
      ? { status: 'fail', detail, advice }
      : { status: 'pass', detail: `${detail}: the first is on its way` };
  }
  const counts = Object.entries(report ?? {}).map(([what, count]) => `${count} ${what}`);
  const detail = `the last one ${ago(agoS)} by ${worker ?? '?'}: ${counts.join(', ') || 'nothing to do'}`;
  return agoS > SWEEP_LATE_S ? { status: 'warn', detail, advice } : { status: 'pass', detail };
}

function ago(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h ago`
    : `${Math.round(seconds / 86_400)} days ago`;
}

interface CountRow {
  readonly count: number;
  readonly oldest: string | null;
  readonly oldestS: number | null;
}

/** More are not counted. */
const COUNT_MAX = 10_000;

function many(count: number): string {
  return count >= COUNT_MAX ? `${COUNT_MAX} or more` : String(count);
}

/** Sent, without an outcome, and past its lease: sweeps look at such an effect every 30 s. */
async function checkOverdue({ database, tenant }: ClientContext): Promise<Outcome> {
  const [row] = await database.query<CountRow>(
    `select count(*) as count, (array_agg(short_id order by lease_until))[1] as oldest,
       extract(epoch from clock_timestamp() - min(lease_until))::float8 as "oldestS"
     from (select short_id, lease_until from pawl.effects e where e.tenant = $1 and ${UNATTENDED}
       order by lease_until limit ${COUNT_MAX}) overdue`,
    [tenant],
  );
  if (!row?.count || row.oldestS === null)
    return { status: 'pass', detail: 'no sent effect is past its lease by a minute' };
  return {
    status: 'warn',
    detail: `${many(row.count)} sent and past the lease without an outcome; the oldest ${row.oldest ?? ''}, its lease ended ${ago(row.oldestS)}`,
    advice:
      '`pawl doubts` lists them. Nobody looks after them without sweeps and workers that have the encryption keys, ' +
      'or while their run is paused.',
  };
}

async function checkDoubts({ database, tenant }: ClientContext): Promise<Outcome> {
  const [row] = await database.query<CountRow>(
    `select count(*) as count, (array_agg(short_id order by created_at, id))[1] as oldest,
       extract(epoch from clock_timestamp() - min(created_at))::float8 as "oldestS"
     from (select short_id, created_at, id from pawl.effects
       where tenant = $1 and (status = 'in_doubt' or has_conflict)
       order by created_at, id limit ${COUNT_MAX}) doubts`,
    [tenant],
  );
  if (!row?.count || row.oldestS === null)
    return { status: 'pass', detail: 'no effect is in doubt' };
  return {
    status: 'warn',
    detail: `${many(row.count)} in doubt or in conflict; the oldest ${row.oldest ?? ''}, asked for ${ago(row.oldestS)}`,
    advice: 'See `pawl doubts`; settle with `pawl settle`.',
  };
}

const STUCK_MAX = 1_000;

async function checkStuck(context: ClientContext): Promise<Outcome> {
  const stuck = await listStuckRuns(context, { limit: STUCK_MAX });
  if (stuck.length === 0) return { status: 'pass', detail: 'no run is stuck' };
  const types = new Map<string, number>();
  for (const { type } of stuck) types.set(type, (types.get(type) ?? 0) + 1);
  const causes = [...types].map(([type, runs]) => `${runs} ${type}`);
  const count = stuck.length === STUCK_MAX ? `${STUCK_MAX} or more` : String(stuck.length);
  const [first] = stuck;
  return {
    status: 'warn',
    detail: `${count} stuck (${causes.join(', ')}); the longest ${first?.runKey ?? ''}: ${first?.message.slice(0, 200) ?? ''}`,
    advice: '`pawl doubts` prints each cause and what to do.',
  };
}
