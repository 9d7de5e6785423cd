// The one way in which a workflow runs an activity: explicit options in, the envelope of the result opened.
import { scheduleActivity } from '@temporalio/workflow';
import type { PawlActivities } from '../activities/index.ts';
import type { Enveloped } from '../domain/rules/envelope.ts';
import type { ExplicitOptions } from './activity-options.ts';

/** Runs an activity by its type and returns the value in its result's envelope. */
export async function runActivity<T>(
  type: string,
  input: object,
  options: ExplicitOptions,
): Promise<T> {
  const { value } = await scheduleActivity<Enveloped<T>>(type, [input], options);
  return value;
}

/** Runs one of Pawl's own activities. */
export function runPawlActivity<Name extends keyof PawlActivities>(
  name: Name,
  input: Parameters<PawlActivities[Name]>[0] & object,
  options: ExplicitOptions,
): Promise<Awaited<ReturnType<PawlActivities[Name]>>> {
  return runActivity(name, input, options);
}
