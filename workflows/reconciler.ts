// One sweep of the reconciler, started by a Temporal Schedule: outside every run, whatever became of it.
import { proxyActivities } from '@temporalio/workflow';
import type { PawlActivities } from '../activities/index.ts';
import { reconcileOptions } from './activity-options.ts';

const { 'pawl.reconcile': sweep } = proxyActivities<PawlActivities>(reconcileOptions);

/** Probes, doubts, folds in settlements and wakes; never sends. */
export function pawlReconciler(): ReturnType<PawlActivities['pawl.reconcile']> {
  return sweep();
}
