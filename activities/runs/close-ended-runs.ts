// What a sweep does about runs whose workflow has ended without closing its row: terminated, failed or timed out by others.
import type { ExecutionEnd, ExecutionStanding } from '../../domain/rules/execution-end.ts';
import type { RunResult } from '../../domain/rules/run.ts';
import { type Database, LedgerUnavailable } from '../ledger/database.ts';
import { forgetContext } from '../transcripts/remembered-context.ts';
import { withdrawUnsent } from './close-run.ts';

/** What is asked of Temporal. */
export interface ExecutionsPort {
  /** Of the last execution under this workflow id. */
  standing(workflowId: string): Promise<ExecutionStanding>;
  /** False when nobody is there to be woken. */
  signal(workflowId: string, signal: string, payload: object): Promise<boolean>;
}

export interface CloseEndedDeps {
  readonly database: Database;
  readonly executions: ExecutionsPort;
}

export interface EndedRuns {
  /** Rows that were closed: no workflow goes on with them. */
  readonly closed: number;
  /** Rows that had been closed here, and go on after all: somebody has reset or restarted their workflow. */
  readonly reopened: number;
  /** Where the next sweep goes on; null: from the beginning. */
  readonly lookedThrough: RunPlace | null;
  /** Of a run that could not be looked at: the others were, and the next sweep goes on behind them. */
  readonly failure?: unknown;
}

/** A run in the order in which sweeps look through them. */
export interface RunPlace {
  readonly tenant: string;
  readonly runKey: string;
}

/** So many runs are compared in one sweep; the next one goes on behind them. */
const PAGE = 1_000;
/** Cancelled runs are looked at in every sweep: somebody waits for their end. */
const CANCELLED_MAX = 100;
const SIDE_BY_SIDE = 10;

/**
 * Compares the next runs with their workflows. An absence is no proof of an end: a run that Temporal does not know is
 * closed only where its cancel was asked for.
 */
export async function closeEndedRuns(
  deps: CloseEndedDeps,
  after: RunPlace | null,
): Promise<EndedRuns> {
  const page = await deps.database.query<FollowedRun>(NEXT, [
    after?.tenant ?? '',
    after?.runKey ?? '',
    PAGE,
  ]);
  const cancelled = await deps.database.query<FollowedRun>(CANCELLED, [CANCELLED_MAX]);
  const runs = new Map(
    [...page, ...cancelled].map((run) => [JSON.stringify([run.tenant, run.runKey]), run]),
  );
  const waiting = [...runs.values()];
  const count = { closed: 0, reopened: 0, left: 0 };
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (let run = waiting.shift(); run; run = waiting.shift()) {
      try {
        count[await follow(deps, run)] += 1;
      } catch (error) {
        if (error instanceof LedgerUnavailable) throw error;
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
  const last = page.length < PAGE ? undefined : page.at(-1);
  const lookedThrough = last ? { tenant: last.tenant, runKey: last.runKey } : null;
  return { closed: count.closed, reopened: count.reopened, lookedThrough, failure: failures[0] };
}

interface FollowedRun extends RunPlace {
  readonly workflowId: string;
  readonly parent: string | null;
  readonly turn: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly costMicroUsd: number;
  readonly isFinished: boolean;
  readonly isCancelled: boolean;
  /** Changes with every change of the row. */
  readonly version: string;
}

const RUN = `
  select r.tenant, r.run_key as "runKey", r.workflow_id as "workflowId", r.parent_run_key as parent, r.turn,
    r.input_tokens as "inputTokens", r.output_tokens as "outputTokens",
    r.cached_input_tokens as "cachedInputTokens", r.cost_micro_usd as "costMicroUsd",
    r.finished_at is not null as "isFinished", c.cancelled_at is not null as "isCancelled",
    r.xmin::text as version
  from pawl.runs r
  left join pawl.controls c on c.tenant = r.tenant and c.run_key = r.run_key`;

const NEXT = `${RUN}
  where (r.finished_at is null or (r.result->>'kind' = 'terminated' and r.erased_at is null))
    and (r.tenant, r.run_key) > ($1, $2)
  order by r.tenant, r.run_key limit $3`;

const CANCELLED = `${RUN}
  where r.finished_at is null and c.cancelled_at < clock_timestamp() - interval '5 seconds'
  order by c.cancelled_at desc limit $1`;

async function follow(
  deps: CloseEndedDeps,
  run: FollowedRun,
): Promise<'closed' | 'reopened' | 'left'> {
  const standing = await deps.executions.standing(run.workflowId);
  if (run.isFinished) {
    return standing.kind === 'open' && (await reopen(deps, run)) ? 'reopened' : 'left';
  }
  if (standing.kind === 'open') return 'left';
  if (standing.kind === 'missing' && !run.isCancelled) return 'left';
  const end = standing.kind === 'ended' ? standing.end : undefined;
  return (await close(deps, run, toResult(run, end))) ? 'closed' : 'left';
}

const END_WORDS: Readonly<Record<ExecutionEnd, string>> = {
  TERMINATED: 'its workflow was terminated in Temporal',
  FAILED: 'its workflow failed in Temporal',
  TIMED_OUT: 'its workflow timed out in Temporal',
  CANCELLED: 'its workflow was cancelled in Temporal and told nobody',
  COMPLETED:
    'its workflow completed in Temporal, and the ledger does not hold how: is it an older one?',
};

function toResult(run: FollowedRun, end: ExecutionEnd | undefined): RunResult {
  const words = end ? END_WORDS[end] : 'Temporal does not know its workflow';
  const { turn: turns, inputTokens, outputTokens, cachedInputTokens, costMicroUsd } = run;
  return {
    v: 1,
    kind: run.isCancelled ? 'cancelled' : 'terminated',
    reason: run.isCancelled ? `cancelled by request; ${words}` : words,
    turns,
    usage: { inputTokens, outputTokens, cachedInputTokens, costMicroUsd },
  };
}

/**
 * Only a row that nobody has changed since it was looked at: a newer execution opens it first. Of a cancelled run what was
 * not sent is withdrawn; of a terminated one it stays, so that `pawl resume` goes on with it.
 */
async function close(
  { database, executions }: CloseEndedDeps,
  run: FollowedRun,
  result: RunResult,
): Promise<boolean> {
  const { tenant, runKey, version, parent } = run;
  const isClosed = await database.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      // No body is in it: the words are Pawl's own.
      `update pawl.runs set result = $4, stuck_cause = null, finished_at = clock_timestamp(),
         updated_at = clock_timestamp()
       where tenant = $1 and run_key = $2 and xmin::text = $3 and finished_at is null
         and not exists (select 1 from pawl.controls c where c.tenant = $1 and c.run_key = $2
           and c.resumed_at between clock_timestamp() - interval '1 minute' and clock_timestamp())`,
      [tenant, runKey, version, JSON.stringify(result)],
    );
    if (rowCount && result.kind === 'cancelled')
      await withdrawUnsent(tx, { tenant, runKey, result });
    return Boolean(rowCount);
  });
  if (!isClosed) return false;
  forgetContext(database, tenant, runKey);
  if (parent !== null) await executions.signal(parent, 'pawl.childEnded', { v: 1, run: runKey });
  return true;
}

async function reopen({ database }: CloseEndedDeps, run: FollowedRun): Promise<boolean> {
  const rows = await database.query(
    `update pawl.runs set result = null, finished_at = null, updated_at = clock_timestamp()
     where tenant = $1 and run_key = $2 and xmin::text = $3 and erased_at is null returning 1`,
    [run.tenant, run.runKey, run.version],
  );
  return rows.length > 0;
}
