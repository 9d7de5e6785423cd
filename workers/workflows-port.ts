// What the reconciler asks of Temporal, answered by the worker's own client.
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowsPort } from '../activities/effects/reconcile.ts';
import type { ExecutionsPort } from '../activities/runs/close-ended-runs.ts';
import type { SweepDeps } from '../activities/runs/sweep.ts';
import { type ExecutionStanding, standingOf } from '../domain/rules/execution-end.ts';
import type { WorkerConfig } from './config.ts';

/** What a worker's sweeps need beside the ledger. */
export function createSweepDeps(
  client: Client,
  { taskQueue, identity }: WorkerConfig,
): Pick<SweepDeps, 'workflows' | 'sweeper'> {
  return { workflows: createWorkflowsPort(client), sweeper: { taskQueue, worker: identity } };
}

/** The port over a Temporal client. */
function createWorkflowsPort(client: Client): WorkflowsPort & ExecutionsPort {
  const standing = async (workflowId: string): Promise<ExecutionStanding> => {
    try {
      const { status } = await client.workflow.getHandle(workflowId).describe();
      return standingOf(status.name);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return { kind: 'missing' };
      throw error;
    }
  };
  return {
    standing,
    isRunning: async (workflowId) => (await standing(workflowId)).kind === 'open',
    async signal(workflowId, signal, payload) {
      try {
        await client.workflow.getHandle(workflowId).signal(signal, payload);
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
  };
}
