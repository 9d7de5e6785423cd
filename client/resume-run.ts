// Resume: wakes a paused or stuck run; where its workflow has ended or is gone, starts another one from the rows.
import type { ExecutionStanding } from '../domain/rules/execution-end.ts';
import type { ClientContext } from './context.ts';
import { type ControlAnswer, type ControlOptions, controlTree } from './control-run.ts';
import { RunFinishedError, RunNotResumableError } from './errors.ts';
import { resolveRunKey } from './ids.ts';
import { findRun, type RunView } from './run-views.ts';
import { readStoredRun, startWorkflow } from './start-run.ts';
import type { Wake } from './temporal.ts';

export interface ResumeAnswer extends ControlAnswer {
  /**
   * What there was to resume. `not-started`: its workflow had never been started. `lost`: Temporal no longer knew its
   * workflow. `terminated`: its workflow had ended in Temporal before the run did. Both are started again, and go on from
   * what the ledger holds. `cancelled`: it is not started again, and the next sweep closes it. `waiting`: for a model
   * whose provider had asked for it. `nothing`: none of these.
   */
  readonly was:
    | 'paused'
    | 'stuck'
    | 'waiting'
    | 'not-started'
    | 'lost'
    | 'terminated'
    | 'cancelled'
    | 'nothing';
}

/** See PawlClient.resume. */
export async function resumeRun(
  context: ClientContext,
  typed: string,
  { by = context.requester }: ControlOptions = {},
): Promise<ResumeAnswer> {
  const run = await requireResumable(context, typed);
  const { runKey, workflowId } = run;
  const resume = (keys: readonly string[]): Promise<unknown> =>
    context.database.query(
      `update pawl.controls set paused_at = null, paused_by = null
       where tenant = $1 and run_key = any($2) and paused_at is not null`,
      [context.tenant, keys],
    );
  const tree = await controlTree(context, runKey, resume);
  const wakeOne = (id: string): Promise<Wake> =>
    context.temporal.wake(id, { name: 'resumed', message: { v: 1, by } });
  const wake = await wakeOne(workflowId);
  await Promise.all(tree.map(wakeOne));
  const isGone = wake.kind === 'not-delivered' && wake.reason === 'workflow-ended';
  if (!isGone) return { runKey, was: whatWas(run), wake };
  return run.cancelledAt ? { runKey, was: 'cancelled', wake } : startAgain(context, run, by);
}

/** A run that has not finished, or was only terminated. */
async function requireResumable(context: ClientContext, typed: string): Promise<RunView> {
  const runKey = await resolveRunKey(context, typed);
  const run = await findRun(context, runKey);
  if (!run) throw new Error(`The run ${runKey} disappeared while it was read`);
  if (run.isFinished && run.result?.kind !== 'terminated')
    throw new RunFinishedError(runKey, run.status, 'resume');
  return run;
}

/** A new execution under the same id. It asks no model and sends nothing that the ledger holds an answer to. */
async function startAgain(context: ClientContext, run: RunView, by: string): Promise<ResumeAnswer> {
  const { runKey, workflowId } = run;
  const standing = await context.temporal.standing(workflowId);
  const stored = await readStoredRun(context, runKey);
  if (!stored || stored.isErased) throw new RunFinishedError(runKey, 'erased', 'resume');
  refuseWhatCannot(run, standing);
  // Until its first step has opened the run again, this says that it is on its way.
  await context.database.query(
    `insert into pawl.controls as c (tenant, run_key, resumed_at, resumed_by)
     values ($1, $2, clock_timestamp(), $3)
     on conflict (tenant, run_key) do update
       set resumed_at = excluded.resumed_at, resumed_by = excluded.resumed_by`,
    [context.tenant, runKey, by],
  );
  const isUnstarted = standing.kind === 'missing' && run.turn === 0 && !stored.isOpened;
  await startWorkflow(context, stored, isUnstarted ? {} : { isAgain: true });
  const was = isUnstarted ? 'not-started' : standing.kind === 'missing' ? 'lost' : 'terminated';
  return { runKey, was, wake: { kind: 'delivered' } };
}

/** Throws RunNotResumableError. */
function refuseWhatCannot(run: RunView, standing: ExecutionStanding): void {
  const { runKey, parentRunKey } = run;
  if (standing.kind !== 'ended') return;
  if (standing.end === 'COMPLETED') {
    const why = 'Temporal says that its workflow completed, and this ledger does not hold its end';
    const advice = 'An older ledger was restored: docs/operating.md, "After a restore".';
    throw new RunNotResumableError(runKey, why, advice);
  }
  if (parentRunKey === null) return;
  const advice = `The next sweep closes it and tells ${parentRunKey}, whose model goes on without its answer.`;
  throw new RunNotResumableError(runKey, 'it is a sub-agent whose workflow has ended', advice);
}

function whatWas(run: RunView): ResumeAnswer['was'] {
  if (run.pausedAt) return 'paused';
  if (run.status === 'waiting_model') return 'waiting';
  return run.status === 'stuck' ? 'stuck' : 'nothing';
}
