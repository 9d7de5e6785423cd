// What workers and their supervisor ask Temporal of one workflow execution.
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

export type Execution = temporal.api.common.v1.IWorkflowExecution;
export type Description = temporal.api.workflowservice.v1.IDescribeWorkflowExecutionResponse;
export type Event = temporal.api.history.v1.IHistoryEvent;

/** gRPC's code: there is none, or it has ended. */
export const NOT_FOUND = 5;

/** The last events, newest first. */
export async function lastEvents(
  { workflowService, options }: Pick<Client, 'workflowService' | 'options'>,
  execution: Execution,
  count: number,
): Promise<readonly Event[]> {
  const { history } = await workflowService.getWorkflowExecutionHistoryReverse({
    namespace: options.namespace,
    execution,
    maximumPageSize: count,
  });
  return history?.events ?? [];
}
