// A check of `doctor`: whether the ledger and Temporal tell of the same runs. They do not after one of them was restored, or a workflow was terminated.
import type { ExecutionStanding } from '../domain/rules/execution-end.ts';
import type { ClientContext } from './context.ts';
import { isPawlError } from './errors.ts';
import type { HealthCheck } from './health-check.ts';

const NAME = 'histories';
/** Open workflows of this task queue that are looked up in the ledger. */
const LIST_MAX = 1_000;
/** Open runs of the ledger that are looked up in Temporal: so many of the oldest, and so many of the newest. */
const EACH_END_MAX = 500;
/** Suspicious ones that are confirmed one by one, of each kind. */
const ASK_MAX = 100;
const SIDE_BY_SIDE = 10;

/** Run keys, at most `ASK_MAX` of each. */
interface Differences {
  /** Open in Temporal, unknown to the ledger. */
  readonly unknown: readonly string[];
  /** Open in Temporal, finished in the ledger. */
  readonly finished: readonly string[];
  /** Open in the ledger, and Temporal knows no such workflow. */
  readonly missing: readonly string[];
  /** Open in the ledger, and its workflow has ended. */
  readonly ended: readonly string[];
  /** Open runs of the ledger that were looked at, and that there are. */
  readonly seen: number;
  readonly count: number;
}

/** Compares both ways, whatever the task queue of a run is; what is suspicious is confirmed with Temporal, run by run. */
export async function checkHistories(context: ClientContext): Promise<HealthCheck> {
  try {
    const [there, here] = await Promise.all([compareOpen(context), compareUnfinished(context)]);
    return judge({ ...there, ...here });
  } catch (error) {
    if (!isPawlError(error)) throw error;
    return { name: NAME, status: 'unknown', detail: `not looked at: ${error.message}` };
  }
}

/** The open workflows of this task queue; another queue may belong to another ledger. */
async function compareOpen({
  database,
  temporal,
  taskQueue,
}: ClientContext): Promise<Pick<Differences, 'unknown' | 'finished'>> {
  const open = await temporal.listOpenRuns(taskQueue, LIST_MAX);
  const known = await database.query<{ runKey: string; isFinished: boolean }>(
    `select run_key as "runKey", finished_at is not null as "isFinished" from pawl.runs
     where run_key = any($1)`,
    [open],
  );
  const rows = new Map(known.map((row) => [row.runKey, row]));
  const [unknown, finished] = await Promise.all([
    keepStanding(
      temporal,
      open.filter((id) => !rows.has(id)),
      'open',
    ),
    keepStanding(
      temporal,
      open.filter((id) => rows.get(id)?.isFinished),
      'open',
    ),
  ]);
  return { unknown, finished };
}

/** The open runs of the ledger, both ends of them: sweeps look through all. */
async function compareUnfinished({
  database,
  temporal,
  tenant,
}: ClientContext): Promise<Omit<Differences, 'unknown' | 'finished'>> {
  const rows = await database.query<{ id: string; count: number }>(
    `with counted as (select count(*) as count from pawl.runs where tenant = $1 and finished_at is null),
       oldest as (select workflow_id as id from pawl.runs where tenant = $1 and finished_at is null
         order by created_at, run_key limit $2),
       newest as (select workflow_id as id from pawl.runs where tenant = $1 and finished_at is null
         order by created_at desc, run_key desc limit $2)
     select id, count from (select id from oldest union select id from newest) seen, counted`,
    [tenant, EACH_END_MAX],
  );
  const ids = rows.map(({ id }) => id);
  const open = new Set(await temporal.filterOpen(ids));
  const suspects = ids.filter((id) => !open.has(id));
  const [missing, ended] = await Promise.all([
    keepStanding(temporal, suspects, 'missing'),
    keepStanding(temporal, suspects, 'ended'),
  ]);
  return { missing, ended, seen: ids.length, count: rows[0]?.count ?? 0 };
}

/** Those of the ids whose workflow stands so; visibility may be behind what has happened. */
async function keepStanding(
  temporal: ClientContext['temporal'],
  ids: readonly string[],
  kind: ExecutionStanding['kind'],
): Promise<string[]> {
  const waiting = ids.slice(0, ASK_MAX);
  const kept: string[] = [];
  const lane = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      if ((await temporal.standing(id)).kind === kind) kept.push(id);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
  return kept.sort();
}

/** The worst difference first: a ledger that lost runs. */
export function judge({
  unknown,
  finished,
  missing,
  ended,
  seen,
  count,
}: Differences): HealthCheck {
  if (unknown.length > 0) {
    return {
      name: NAME,
      status: 'fail',
      detail: `${name(unknown)} in Temporal and not in this ledger: was an older ledger restored?`,
      advice: 'docs/operating.md, "After a restore". Start nothing before you have read it.',
    };
  }
  if (ended.length > 0) {
    return {
      name: NAME,
      status: 'warn',
      detail: `${name(ended)} open in the ledger, and the workflow has ended in Temporal: terminated, failed or timed out`,
      advice:
        'The next sweep closes each as `terminated` (a worker has to run). `pawl resume RUN` starts one again, and it goes on from what the ledger holds.',
    };
  }
  if (missing.length > 0) {
    return {
      name: NAME,
      status: 'warn',
      detail: `${name(missing)} open in the ledger and unknown to Temporal: never started, deleted there, or Temporal was restored`,
      advice:
        '`pawl resume RUN` starts it again, and it goes on from what the ledger holds; `pawl cancel RUN` ends it.',
    };
  }
  if (finished.length > 0) {
    return {
      name: NAME,
      status: 'warn',
      detail: `${name(finished)} finished in the ledger and open in Temporal: was it reset, or an older Temporal restored?`,
      advice: 'docs/operating.md, "After a restore", has the command that wakes them.',
    };
  }
  return {
    name: NAME,
    status: 'pass',
    detail: `ledger and Temporal agree on ${which(seen, count)}`,
  };
}

function which(seen: number, count: number): string {
  if (count === 0) return 'that no run is open';
  if (seen >= count) return `the open runs (${count})`;
  return `${seen} of ${count} open runs, the oldest and the newest: each sweep looks through the next 1,000`;
}

function name(runs: readonly string[]): string {
  const count = runs.length >= ASK_MAX ? `${ASK_MAX} or more` : String(runs.length);
  return runs.length > 3 ? `${runs.slice(0, 3).join(', ')}, … (${count} runs)` : runs.join(', ');
}
