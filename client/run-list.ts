// The list of runs, newest first and in pages; by status through what rows of that status have in common.
import type { ClientContext } from './context.ts';
import { behind, createStatement, orderBy, type PageOptions, type PageOrder } from './pages.ts';
import { RUNS, RunStatus, type RunView, STATUS } from './run-views.ts';

export interface ListOptions extends PageOptions {
  /** Only runs of this status. */
  readonly status?: RunStatus | undefined;
}

const NEWEST_FIRST: PageOrder = {
  kind: 'run',
  from: 'from pawl.runs r where r.tenant = $1 and r.run_key = $2',
  columns: [
    ['r.created_at', 'timestamptz'],
    ['r.run_key', 'text'],
  ],
  direction: 'desc',
};

/** What rows of a status have in common, so that an index finds them; the status itself decides. */
const STATUS_HINTS: Readonly<Partial<Record<RunStatus, string>>> = {
  [RunStatus.Stuck]: 'r.finished_at is null and r.stuck_cause is not null',
  [RunStatus.Paused]: `r.finished_at is null and r.run_key in (
    select c.run_key from pawl.controls c where c.tenant = $1 and c.paused_at is not null)`,
  [RunStatus.Cancelling]: `r.finished_at is null and r.run_key in (
    select c.run_key from pawl.controls c where c.tenant = $1 and c.cancelled_at is not null)`,
  [RunStatus.InDoubt]: `r.finished_at is null and r.run_key in (
    select f.run_key from pawl.effects f where f.tenant = $1 and f.status = 'in_doubt')`,
  [RunStatus.WaitingApproval]: `r.finished_at is null and r.run_key in (
    select f.run_key from pawl.effects f where f.tenant = $1 and f.status = 'intended')`,
  [RunStatus.WaitingUser]: 'r.finished_at is null and r.is_session',
  [RunStatus.Running]: 'r.finished_at is null',
  // One that is resumed after its end is on its way.
  [RunStatus.Starting]: `(r.finished_at is null and r.agent_hash is null
    or r.finished_at is not null and r.result->>'kind' = 'terminated')`,
  [RunStatus.Ended]: `r.finished_at is not null and r.result->>'kind' is null`,
};

/** The latest runs, newest first. @default limit 20 */
export async function listRuns(
  context: ClientContext,
  { limit = 20, after, status }: ListOptions = {},
): Promise<RunView[]> {
  const statement = createStatement(context.tenant);
  const { $, values } = statement;
  const isBehind = await behind(context, NEWEST_FIRST, after, statement);
  const hint =
    status &&
    (STATUS_HINTS[status] ?? `r.finished_at is not null and r.result->>'kind' = ${$(status)}`);
  const mayBe = hint === undefined ? '' : ` and ${hint}`;
  const isIt = status === undefined ? '' : ` and ${STATUS} = ${$(status)}`;
  return context.database.query<RunView>(
    `${RUNS} where r.tenant = $1${mayBe}${isBehind}${isIt}${orderBy(NEWEST_FIRST)} limit ${$(limit)}`,
    values,
  );
}
