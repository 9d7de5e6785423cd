// Erasure: every body of a run and its data key are taken away, on record; that something was done, and when, stays.
import { setTimeout as sleep } from 'node:timers/promises';
import { ulid } from 'ulid';
import type { ClientContext } from './context.ts';
import { isPawlError, RunNotErasableError } from './errors.ts';
import { resolveRunKey } from './ids.ts';

/** One run, with the runs that its model asked for; a process of one's own workflows by its whole key; or all runs about a subject. */
export type EraseTarget = { readonly run: string } | { readonly subject: string };

export interface EraseOptions {
  /** Why, such as the number of a request; stays on record. */
  readonly reason: string;
  /** @default the client's requester */
  readonly by?: string | undefined;
}

export interface ErasedRun {
  readonly runKey: string;
  /** Rows whose bodies have just been taken away, by table; empty when there was nothing left. */
  readonly rows: Readonly<Record<string, number>>;
  /** Executions whose histories Temporal was told to delete; null: it did not answer, so repeat the command. */
  readonly histories: number | null;
}

export interface EraseAnswer {
  readonly runs: readonly ErasedRun[];
  /** Runs that were forked from these: they hold copies of the words before the fork, and are not erased. */
  readonly forks: readonly string[];
}

/** See PawlClient.erase. */
export async function eraseRuns(
  context: ClientContext,
  target: EraseTarget,
  { reason, by = context.requester }: EraseOptions,
): Promise<EraseAnswer> {
  const process = 'run' in target ? await findProcess(context, target.run) : undefined;
  const runKeys = process ? [process.runKey] : await findTargets(context, target);
  // All are looked at before the first is touched: a subject is not left half erased by a run that is live.
  if (process) await checkEnded(context, process);
  for (const runKey of runKeys) await checkErasable(context, runKey);
  const runs: ErasedRun[] = [];
  for (const runKey of runKeys) {
    const rows = await eraseBodies(context, runKey, { cause: 'erase', by, reason });
    const workflowIds = process?.workflowIds ?? [runKey, `${runKey}-compensate`];
    runs.push({ runKey, rows, histories: await deleteHistories(context, workflowIds) });
  }
  return { runs, forks: await findForks(context, runKeys) };
}

/** A process of somebody's own workflows: its effects have its key, and there is no run. */
interface Process {
  readonly runKey: string;
  /** Those that asked for its effects. */
  readonly workflowIds: readonly string[];
}

/** By its whole key: it is not one that Pawl has minted. Undefined where there is a run, or nothing. */
export async function findProcess(
  { database, tenant }: ClientContext,
  typed: string,
): Promise<Process | undefined> {
  const [row] = await database.query<{ ids: string[] | null }>(
    `select array_agg(distinct workflow_id) filter (where workflow_id is not null) as ids from pawl.effects
     where tenant = $1 and run_key = $2
       and not exists (select 1 from pawl.runs where tenant = $1 and run_key = $2)
       and not exists (select 1 from pawl.transcript where tenant = $1 and run_key = $2)
     having count(*) > 0`,
    [tenant, typed],
  );
  return row && { runKey: typed, workflowIds: row.ids ?? [] };
}

/** Only Temporal knows whether it has ended. */
async function checkEnded(
  { temporal }: ClientContext,
  { runKey, workflowIds }: Process,
): Promise<void> {
  for (const workflowId of workflowIds) {
    if ((await temporal.standing(workflowId)).kind !== 'open') continue;
    const advice = 'Wait for its end, or end it in Temporal.';
    throw new RunNotErasableError(runKey, `its workflow ${workflowId} is running`, advice);
  }
}

async function findTargets(
  context: ClientContext,
  target: EraseTarget,
): Promise<readonly string[]> {
  const { database, tenant } = context;
  const run = 'run' in target ? await resolveRunKey(context, target.run) : null;
  const subject = 'subject' in target ? target.subject : null;
  const rows = await database.query<{ key: string }>(
    `with recursive tree as (
       select run_key from pawl.runs
       where tenant = $1 and (run_key = $2 or subject = $3)
       union
       select r.run_key from pawl.runs r join tree t on r.tenant = $1 and r.parent_run_key = t.run_key)
     select run_key as key from tree order by 1`,
    [tenant, run, subject],
  );
  return rows.map(({ key }) => key);
}

interface Standing {
  /** Null: there is no run, only effects. */
  readonly isFinished: boolean | null;
  readonly open: string | null;
  readonly status: string | null;
}

async function checkErasable(context: ClientContext, runKey: string): Promise<void> {
  const { database, tenant } = context;
  const [standing] = await database.query<Standing>(
    `select case when r.run_key is not null then r.finished_at is not null end as "isFinished", e.short_id as open,
       case when e.has_conflict then 'in conflict' else replace(e.status, '_', ' ') end as status
     from (select $1::text as tenant, $2::text as run_key) k
     left join pawl.runs r using (tenant, run_key)
     left join pawl.effects e on e.tenant = k.tenant and e.run_key = k.run_key
       and (e.status in ('dispatched', 'in_doubt') or e.has_conflict)
     order by e.id limit 1`,
    [tenant, runKey],
  );
  if (!standing) return;
  if (standing.isFinished === false) throw await toLiveError(context, runKey);
  if (standing.open === null) return checkNoneOpen(context, runKey);
  const why = `its effect ${standing.open} is ${standing.status ?? 'open'}, and what it was given may still be needed`;
  throw new RunNotErasableError(runKey, why, `Settle it first: \`pawl why ${standing.open}\`.`);
}

/** What ends a run depends on whether its workflow is there. */
async function toLiveError(
  { temporal }: ClientContext,
  runKey: string,
): Promise<RunNotErasableError> {
  const standing = await unlessUnreachable(temporal.standing(runKey));
  const advice =
    standing?.kind === 'ended'
      ? 'Its workflow has: the next sweep of a worker closes the run; repeat the command then.'
      : `\`pawl cancel ${runKey}\` ends it, or wait for its end.`;
  return new RunNotErasableError(runKey, 'it has not ended', advice);
}

const LOOKS = 20;
const LOOK_MS = 250;

/** Somebody may have reset a run that had ended. Where Temporal does not answer, the rows decide. */
async function checkNoneOpen({ temporal }: ClientContext, runKey: string): Promise<void> {
  for (let looks = 0; looks < LOOKS; looks += 1) {
    const standing = await unlessUnreachable(temporal.standing(runKey));
    if (standing?.kind !== 'open') return;
    // Its row is closed a moment before its workflow ends.
    await sleep(LOOK_MS);
  }
  const why = 'its workflow is open in Temporal (it was reset, or is paused there)';
  throw new RunNotErasableError(runKey, why, 'Wait for its end, or end it in Temporal.');
}

function unlessUnreachable<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error: unknown) => {
    if (isPawlError(error)) return undefined;
    throw error;
  });
}

export interface ErasureRecord {
  readonly cause: 'erase' | 'retention';
  readonly by: string;
  readonly reason: string;
}

/** One transaction; the database refuses what may not go, whatever was checked before. Repeating it takes nothing more. */
export async function eraseBodies(
  { database, tenant }: ClientContext,
  runKey: string,
  { cause, by, reason }: ErasureRecord,
): Promise<Readonly<Record<string, number>>> {
  try {
    const [row] = await database.query<{ counts: Record<string, number> }>(
      'select pawl.erase_run($1, $2, $3, $4, $5, $6) as counts',
      [tenant, runKey, `er_${ulid()}`, cause, by, reason],
    );
    const counts = Object.entries(row?.counts ?? {}).filter(([, count]) => count > 0);
    return Object.fromEntries(counts);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    throw new RunNotErasableError(runKey, refusal, 'Look at it with `pawl show`, then repeat.');
  }
}

/** What `pawl.erase_run` says of a run that changed between the look and the deed. */
function refusalOf(error: unknown): string | undefined {
  const isRefused = error instanceof Error && 'code' in error && error.code === '55000';
  return isRefused ? error.message.replace(/^pawl: /, '') : undefined;
}

/** What Temporal keeps are names, counts and encrypted payloads; it goes all the same. */
async function deleteHistories(
  { temporal }: ClientContext,
  workflowIds: readonly string[],
): Promise<number | null> {
  try {
    return await temporal.deleteHistories(workflowIds);
  } catch (error) {
    if (isPawlError(error)) return null;
    throw error;
  }
}

async function findForks(
  { database, tenant }: ClientContext,
  runKeys: readonly string[],
): Promise<readonly string[]> {
  const rows = await database.query<{ key: string }>(
    `select run_key as key from pawl.runs
     where tenant = $1 and forked_from->>'runKey' = any($2) and erased_at is null and run_key <> all($2)
     order by 1`,
    [tenant, runKeys],
  );
  return rows.map(({ key }) => key);
}
