// One sweep, whole: effects first, then runs whose workflow has ended; what it did is noted for `pawl doctor`.
import { messageOfThrown } from '../../domain/rules/thrown.ts';
import { reconcile, type ReconcilerDeps, type SweepReport } from '../effects/reconcile.ts';
import type { Database } from '../ledger/database.ts';
import {
  closeEndedRuns,
  type EndedRuns,
  type ExecutionsPort,
  type RunPlace,
} from './close-ended-runs.ts';

export interface SweepDeps extends Omit<ReconcilerDeps, 'workflows'> {
  readonly workflows: ReconcilerDeps['workflows'] & ExecutionsPort;
  /** Who sweeps, for the record. */
  readonly sweeper: Sweeper;
}

export interface Sweeper {
  readonly taskQueue: string;
  /** The worker's identity. */
  readonly worker: string;
}

export type WholeSweepReport = SweepReport & Pick<EndedRuns, 'closed' | 'reopened'>;

/** Effects that cannot be looked after keep no run open, and the other way round; the first failure is thrown at the end. */
export async function sweep(deps: SweepDeps): Promise<WholeSweepReport> {
  const { database, sweeper, workflows } = deps;
  const effects = await settle(reconcile(deps));
  const runs = await settle(
    readPlace(database, sweeper).then((after) =>
      closeEndedRuns({ database, executions: workflows }, after),
    ),
  );
  if (effects.isFine && runs.isFine) {
    const { lookedThrough, closed, reopened, failure: failed } = runs.value;
    const report = { ...effects.value, closed, reopened };
    await noteSweep(database, sweeper, report, lookedThrough);
    if (failed === undefined) return report;
    await noteFailure(database, sweeper, failed);
    throw failed;
  }
  const failure: unknown = effects.isFine ? !runs.isFine && runs.error : effects.error;
  await noteFailure(database, sweeper, failure).catch(() => undefined); // the ledger may be what failed
  throw failure;
}

type Settled<T> =
  | { readonly isFine: true; readonly value: T }
  | { readonly isFine: false; readonly error: unknown };

function settle<T>(work: Promise<T>): Promise<Settled<T>> {
  return work.then(
    (value) => ({ isFine: true, value }),
    (error: unknown) => ({ isFine: false, error }),
  );
}

async function readPlace(database: Database, { taskQueue }: Sweeper): Promise<RunPlace | null> {
  const [row] = await database.query<{ place: RunPlace | null }>(
    'select looked_through as place from pawl.sweeps where task_queue = $1',
    [taskQueue],
  );
  return row?.place ?? null;
}

async function noteSweep(
  database: Database,
  { taskQueue, worker }: Sweeper,
  report: WholeSweepReport,
  lookedThrough: RunPlace | null,
): Promise<void> {
  await database.query(
    `insert into pawl.sweeps (task_queue, worker, ended_at, report, looked_through)
     values ($1, $2, clock_timestamp(), $3, $4)
     on conflict (task_queue) do update set worker = excluded.worker, ended_at = excluded.ended_at,
       report = excluded.report, looked_through = excluded.looked_through, failed_at = null, failure = null`,
    [taskQueue, worker, JSON.stringify(report), lookedThrough && JSON.stringify(lookedThrough)],
  );
}

const FAILURE_LETTERS_MAX = 500;

async function noteFailure(
  database: Database,
  { taskQueue, worker }: Sweeper,
  failure: unknown,
): Promise<void> {
  const words = messageOfThrown(failure);
  await database.query(
    `insert into pawl.sweeps (task_queue, worker, failed_at, failure)
     values ($1, $2, clock_timestamp(), $3)
     on conflict (task_queue) do update set worker = excluded.worker, failed_at = excluded.failed_at,
       failure = excluded.failure`,
    [taskQueue, worker, words.slice(0, FAILURE_LETTERS_MAX)],
  );
}
