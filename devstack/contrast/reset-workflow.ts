// `temporal workflow reset`, as an operator does it: the same request to the server.
import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';

/** EVENT_TYPE_WORKFLOW_TASK_COMPLETED */
const WORKFLOW_TASK_COMPLETED = 7;

/** Ends the current execution and runs the workflow again from its first task, under a new run id; returns that. */
export async function resetToStart(client: Client, workflowId: string): Promise<string> {
  const { workflowService } = client.connection;
  const { namespace } = client.options;
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const first = events?.find(({ eventType }) => eventType === WORKFLOW_TASK_COMPLETED);
  if (!first?.eventId) throw new Error(`${workflowId} has no completed workflow task to reset to`);
  const { runId } = await workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId },
    reason: 'pawl contrast',
    workflowTaskFinishEventId: first.eventId,
    requestId: randomUUID(),
  });
  return runId;
}
