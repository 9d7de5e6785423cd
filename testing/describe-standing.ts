// Where a run stands, in words for a failed test: its status, and what Temporal is trying.
import type { Client } from '@temporalio/client';
import type { PawlClient } from '../client/pawl-client.ts';

/** As in `running in turn 2; pawl.model attempt 3: anthropic is overloaded`. */
export async function describeStanding(
  client: PawlClient,
  temporal: Client,
  runKey: string,
): Promise<string> {
  const { run } = await client.show(runKey);
  const { raw } = await temporal.workflow.getHandle(runKey).describe();
  const pending = (raw.pendingActivities ?? []).map(({ activityType, attempt, lastFailure }) => {
    const why = lastFailure?.message ? `: ${lastFailure.message}` : '';
    return `${activityType?.name} attempt ${attempt}${why}`;
  });
  const stuck = run.stuckCause === null ? [] : [JSON.stringify(run.stuckCause)];
  return [`${run.status} in turn ${run.turn}`, ...stuck, ...pending].join('; ');
}
