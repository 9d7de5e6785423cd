// The garbage collector: bodies of runs that ended long ago go; what a live run, a reset, a doubt or the audit needs stays.
import type { ClientContext } from './context.ts';
import { ArgumentInvalidError, RunNotErasableError } from './errors.ts';
import { eraseBodies } from './erase-run.ts';

export interface GarbageOptions {
  /** Runs that ended longer ago, in milliseconds; never less than Temporal keeps histories. @default 30 days */
  readonly olderThanMs?: number | undefined;
  /** Counts only. @default false */
  readonly dryRun?: boolean | undefined;
  /** @default the client's requester */
  readonly by?: string | undefined;
  readonly onProgress?: ((collected: number) => void) | undefined;
  /** Stops behind the run at hand; what is reported then is what was done. */
  readonly signal?: AbortSignal | undefined;
}

export interface GarbageReport {
  /** Runs whose bodies are gone, or would be. */
  readonly runs: number;
  readonly isDryRun: boolean;
  /** Runs that ended before this. */
  readonly endedBefore: Date;
  /** How long Temporal can still reset an ended run, in milliseconds. */
  readonly temporalRetentionMs: number;
  /** Runs that are old enough and still there: an effect is open, a relative goes on, or `signal` came first. */
  readonly kept: number;
}

const DAY_MS = 86_400_000;
const PAGE = 100;

/** See PawlClient.collectGarbage. Each run is one transaction: cut off anywhere, the next call goes on. */
export async function collectGarbage(
  context: ClientContext,
  {
    olderThanMs = 30 * DAY_MS,
    dryRun = false,
    by = context.requester,
    onProgress,
    signal,
  }: GarbageOptions = {},
): Promise<GarbageReport> {
  if (!(olderThanMs >= 0)) throw new ArgumentInvalidError('The age may not be negative.');
  const temporalRetentionMs = await context.temporal.retentionMs();
  const endedBefore = await before(context, Math.max(olderThanMs, temporalRetentionMs));
  let runs = 0;
  let after = '';
  for (;;) {
    const page = await findGarbage(context, endedBefore, after);
    for (const runKey of page) {
      if (signal?.aborted) break;
      runs += dryRun || (await collect(context, runKey, by)) ? 1 : 0;
      onProgress?.(runs);
    }
    after = page.at(-1) ?? after;
    if (page.length < PAGE || signal?.aborted) break;
  }
  const kept = (await countOld(context, endedBefore)) - (dryRun ? runs : 0);
  return { runs, isDryRun: dryRun, endedBefore, temporalRetentionMs, kept };
}

/** False when it has come to life since it was looked for, or somebody has reset its workflow. */
async function collect(context: ClientContext, runKey: string, by: string): Promise<boolean> {
  if ((await context.temporal.standing(runKey)).kind === 'open') return false;
  try {
    await eraseBodies(context, runKey, { cause: 'retention', by, reason: 'retention' });
    return true;
  } catch (error) {
    if (error instanceof RunNotErasableError) return false;
    throw error;
  }
}

/** On the database's clock, which has stamped the ends. */
async function before({ database }: ClientContext, ageMs: number): Promise<Date> {
  const [row] = await database.query<{ at: Date }>(
    "select clock_timestamp() - $1 * interval '1 millisecond' as at",
    [ageMs],
  );
  if (!row) throw new Error('The database did not tell the time');
  return row.at;
}

const OLD = `r.tenant = $1 and r.finished_at < $2 and r.erased_at is null`;

/**
 * No effect open, in doubt or in conflict; nobody of its tree still at work; no fork that has yet to copy from it.
 */
const FREE = `
  not exists (select 1 from pawl.effects e where e.tenant = r.tenant and e.run_key = r.run_key
    and (e.status in ('dispatched', 'in_doubt') or e.has_conflict))
  and not exists (select 1 from pawl.runs t where t.tenant = r.tenant and t.root_key = r.root_key
    and t.finished_at is null)
  and not exists (select 1 from pawl.runs f where f.tenant = r.tenant
    and f.forked_from->>'runKey' = r.run_key and f.finished_at is null)`;

async function findGarbage(
  { database, tenant }: ClientContext,
  endedBefore: Date,
  after: string,
): Promise<readonly string[]> {
  const rows = await database.query<{ key: string }>(
    `select r.run_key as key from pawl.runs r
     where ${OLD} and r.run_key > $3 and ${FREE} order by r.run_key limit ${PAGE}`,
    [tenant, endedBefore, after],
  );
  return rows.map(({ key }) => key);
}

async function countOld({ database, tenant }: ClientContext, endedBefore: Date): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `select count(*) as count from pawl.runs r where ${OLD}`,
    [tenant, endedBefore],
  );
  return row?.count ?? 0;
}
