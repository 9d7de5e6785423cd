// A check of `doctor`: whether the ledger and Temporal tell of the same runs. They do not after one of them was restored.
import type { ClientContext } from './context.ts';
import { isPawlError } from './errors.ts';
import type { HealthCheck } from './health-check.ts';

const NAME = 'histories';
/** More than these are not looked at one by one. */
const LIST_MAX = 1_000;
const ASK_MAX = 20;

interface Differences {
  /** Open in Temporal, unknown to the ledger. */
  readonly unknown: readonly string[];
  /** Open in Temporal, finished in the ledger. */
  readonly finished: readonly string[];
  /** Open in the ledger, and no such workflow is running. */
  readonly missing: readonly string[];
}

/** Compares the open runs of this task queue both ways; what is suspicious is confirmed with Temporal, run by run. */
export async function checkHistories(context: ClientContext): Promise<HealthCheck> {
  try {
    return judge(await findDifferences(context));
  } catch (error) {
    if (!isPawlError(error)) throw error;
    return { name: NAME, status: 'unknown', detail: `not looked at: ${error.message}` };
  }
}

async function findDifferences(context: ClientContext): Promise<Differences> {
  const { database, temporal, tenant, taskQueue } = context;
  const open = await temporal.listOpenRuns(taskQueue, LIST_MAX);
  const known = await database.query<{ runKey: string; isFinished: boolean }>(
    `select run_key as "runKey", finished_at is not null as "isFinished" from pawl.runs
     where run_key = any($1)`,
    [open],
  );
  const rows = new Map(known.map((row) => [row.runKey, row]));
  const unfinished = await database.query<{ workflowId: string }>(
    `select workflow_id as "workflowId" from pawl.runs
     where tenant = $1 and finished_at is null and not workflow_id = any($2)
     order by created_at limit $3`,
    // Beyond the limit nobody knows which of them are open.
    [tenant, open, open.length < LIST_MAX ? ASK_MAX : 0],
  );
  const confirm = (ids: readonly string[], isOpen: boolean): Promise<string[]> =>
    keep(ids.slice(0, ASK_MAX), async (id) => (await temporal.isRunning(id)) === isOpen);
  const [unknown, finished, missing] = await Promise.all([
    confirm(
      open.filter((id) => !rows.has(id)),
      true,
    ),
    confirm(
      open.filter((id) => rows.get(id)?.isFinished),
      true,
    ),
    confirm(
      unfinished.map(({ workflowId }) => workflowId),
      false,
    ),
  ]);
  return { unknown, finished, missing };
}

async function keep(
  ids: readonly string[],
  test: (id: string) => Promise<boolean>,
): Promise<string[]> {
  const verdicts = await Promise.all(ids.map(test));
  return ids.filter((_, index) => verdicts[index]);
}

/** The worst difference first: a ledger that lost runs. */
export function judge({ unknown, finished, missing }: Differences): HealthCheck {
  if (unknown.length > 0) {
    return {
      name: NAME,
      status: 'fail',
      detail: `${name(unknown)} in Temporal and not in this ledger: was an older ledger restored?`,
      advice: 'docs/operating.md, "After a restore". Start nothing before you have read it.',
    };
  }
  if (missing.length > 0) {
    return {
      name: NAME,
      status: 'warn',
      detail: `${name(missing)} open in the ledger and not running in Temporal: never started, terminated, or Temporal was restored`,
      advice: '`pawl resume RUN` starts it again, and it goes on from what the ledger holds.',
    };
  }
  if (finished.length > 0) {
    return {
      name: NAME,
      status: 'warn',
      detail: `${name(finished)} finished in the ledger and open in Temporal: was an older Temporal restored?`,
      advice: 'docs/operating.md, "After a restore", has the command that wakes them.',
    };
  }
  return { name: NAME, status: 'pass', detail: 'ledger and Temporal agree on the open runs' };
}

function name(runs: readonly string[]): string {
  const more = runs.length > 3 ? ` and ${runs.length - 3} more` : '';
  return `${runs.slice(0, 3).join(', ')}${more}`;
}
