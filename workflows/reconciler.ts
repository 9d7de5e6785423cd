// One sweep of the reconciler, started by a Temporal Schedule: outside every run, whatever became of it.
import type { PawlActivities } from '../activities/index.ts';
import { reconcileOptions } from './activity-options.ts';
import { runPawlActivity } from './run-activity.ts';

/** Probes, doubts, folds in settlements and wakes; never sends. */
export function pawlReconciler(): ReturnType<PawlActivities['pawl.reconcile']> {
  return runPawlActivity('pawl.reconcile', { v: 1 }, reconcileOptions);
}
