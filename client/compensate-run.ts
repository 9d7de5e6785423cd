// Undoes what a run has done: starts the workflow that compensates its effects, the last first, and waits for its end.
import { ulid } from 'ulid';
import type { CompensationReport } from '../workflows/compensate.ts';
import type { ClientContext } from './context.ts';
import { findEffect } from './effect-views.ts';
import { ArgumentInvalidError, RunNotEndedError } from './errors.ts';
import { resolveId, resolveRunKey } from './ids.ts';

export interface CompensateRunOptions {
  /** Only these effects (`ef_…`, short). @default all that the run has done */
  readonly effects?: readonly string[] | undefined;
  /** Stops the waiting; the compensation goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface CompensatedRun extends CompensationReport {
  readonly runKey: string;
  /** What Temporal's UI shows. */
  readonly workflowId: string;
}

/** See PawlClient.compensate. */
export async function compensateRun(
  context: ClientContext,
  typed: string,
  { effects, signal }: CompensateRunOptions = {},
): Promise<CompensatedRun> {
  const { database, temporal, tenant, taskQueue } = context;
  const runKey = await resolveRunKey(context, typed);
  const [run] = await database.query<{ isFinished: boolean }>(
    `select finished_at is not null as "isFinished" from pawl.runs where tenant = $1 and run_key = $2`,
    [tenant, runKey],
  );
  // A run that goes on would build on what is being taken away.
  if (run && !run.isFinished && (await temporal.standing(runKey)).kind === 'open')
    throw new RunNotEndedError(runKey, 'compensated');
  const chosen = effects && (await resolveEffects(context, runKey, effects));
  // The wish is a row: nothing of an agent's run is undone on Temporal's word.
  await database.query(
    `insert into pawl.compensations (tenant, run_key, id, effects, asked_by) values ($1, $2, $3, $4, $5)`,
    [tenant, runKey, `cw_${ulid()}`, chosen ?? null, context.requester],
  );
  const workflowId = `${runKey}-compensate`;
  const report = await temporal.compensate(
    { v: 1, tenant, runKey, ...(chosen ? { effects: chosen } : {}) },
    { workflowId, taskQueue, ...(signal ? { signal } : {}) },
  );
  return { runKey, workflowId, ...report };
}

async function resolveEffects(
  context: ClientContext,
  runKey: string,
  typed: readonly string[],
): Promise<readonly string[]> {
  return Promise.all(
    typed.map(async (each) => {
      const id = await resolveId(context, 'effect', each);
      const effect = await findEffect(context, id);
      if (effect?.runKey === runKey) return id;
      throw new ArgumentInvalidError(`${id} is no effect of ${runKey}.`);
    }),
  );
}
