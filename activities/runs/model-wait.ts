// A wait that a model's provider has asked for, as the run's row shows it; the workflow holds it, and a resume ends it.
import type { ModelStepResult } from '../../domain/rules/run.ts';
import { partlySecret, secretMembers } from '../encryption/sealed-body.ts';
import type { ModelWait } from './call-model.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { RunDeps } from './run-deps.ts';

/** Shows the wait in the run's row. Over, it means nothing any more: the next answer takes it away. */
export async function storeModelWait(
  { database }: RunDeps,
  { address: { tenant }, runKey }: ModelStepInput,
  { untilMs, reason }: ModelWait,
): Promise<ModelStepResult> {
  const until = new Date(untilMs).toISOString();
  const place = 'runs.model_wait';
  const wait = secretMembers(place, { until, reason }, ['reason']);
  await database.query(
    `update pawl.runs set model_wait = $3, updated_at = clock_timestamp()
     where tenant = $1 and run_key = $2`,
    [tenant, runKey, partlySecret({ tenant, runKey }, place, wait)],
  );
  return { kind: 'waiting', untilMs, reason };
}
