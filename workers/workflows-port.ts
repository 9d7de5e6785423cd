// What the reconciler asks of Temporal, answered by the worker's own client.
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowsPort } from '../activities/effects/reconcile.ts';

/** The port over a Temporal client. */
export function createWorkflowsPort(client: Client): WorkflowsPort {
  return {
    async isRunning(workflowId) {
      try {
        const { status } = await client.workflow.getHandle(workflowId).describe();
        return status.name === 'RUNNING';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
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
