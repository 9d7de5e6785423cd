// What is asked of Temporal about executions: how they stand, which are open, and that ended ones are deleted.
import type { Client } from '@temporalio/client';
import { type ExecutionStanding, standingOf } from '../domain/rules/execution-end.ts';
import { HistoryMissingError } from './errors.ts';
import type { Opened } from './temporal.ts';
import { grpcStatusOf, nameOf, NOT_FOUND, reasonOf } from './temporal-errors.ts';

export async function findStanding(client: Client, workflowId: string): Promise<ExecutionStanding> {
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    return standingOf(status.name);
  } catch (error) {
    if (nameOf(error) === 'WorkflowNotFoundError') return { kind: 'missing' };
    throw error;
  }
}

/** Temporal takes the cancel of an execution that has ended without a word. Throws WorkflowNotFoundError. */
export async function cancel(client: Client, workflowId: string): Promise<void> {
  const { WorkflowNotFoundError } = await import('@temporalio/client');
  await client.workflow.getHandle(workflowId).cancel();
  const { kind } = await findStanding(client, workflowId);
  if (kind !== 'open') throw new WorkflowNotFoundError('it has ended', workflowId, undefined);
}

/** By what has ended: a server that does not know of paused workflows refuses their name. */
const NOT_OVER =
  "ExecutionStatus NOT IN ('Completed', 'Failed', 'Canceled', 'Terminated', 'ContinuedAsNew', 'TimedOut')";
const IDS_MAX = 100;

export async function filterOpen(
  client: Client,
  workflowIds: readonly string[],
): Promise<string[]> {
  const open: string[] = [];
  for (let from = 0; from < workflowIds.length; from += IDS_MAX) {
    const ids = workflowIds.slice(from, from + IDS_MAX).map(quoted);
    const query = `WorkflowId IN (${ids.join(', ')}) AND ${NOT_OVER}`;
    for await (const { workflowId } of client.workflow.list({ query, pageSize: IDS_MAX })) {
      open.push(workflowId);
    }
  }
  return open;
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

export async function listOpen(
  client: Client,
  taskQueue: string,
  limit: number,
): Promise<string[]> {
  const { WorkflowType } = await import('../workflows/messages.ts');
  const query =
    `WorkflowType = '${WorkflowType.AgentRun}' AND ${NOT_OVER} ` +
    `AND TaskQueue = ${quoted(taskQueue)}`;
  const open: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query, pageSize: limit })) {
    open.push(workflowId);
    if (open.length >= limit) break;
  }
  return open;
}

export async function fetchHistory(
  client: Client,
  workflowId: string,
  address: string,
): Promise<unknown> {
  try {
    return await client.workflow.getHandle(workflowId).fetchHistory();
  } catch (error) {
    const isMissing = grpcStatusOf(error) === NOT_FOUND && /workflow/i.test(reasonOf(error));
    throw isMissing ? new HistoryMissingError(workflowId, address) : error;
  }
}

/** By visibility, because a run that continued as new has several executions; it may not know yet how the last one ended. */
export async function deleteHistories(
  { client, connection }: Opened,
  namespace: string,
  workflowIds: readonly string[],
): Promise<number> {
  let deleted = 0;
  for (const workflowId of workflowIds) {
    const runIds = new Set<string>();
    const query = `WorkflowId = ${quoted(workflowId)}`;
    for await (const { runId, status } of client.workflow.list({ query })) {
      if (isOver(status.name)) runIds.add(runId);
    }
    const last = await findEndedExecution(client, workflowId);
    if (last !== undefined) runIds.add(last);
    for (const runId of runIds) {
      const workflowExecution = { workflowId, runId };
      try {
        await connection.workflowService.deleteWorkflowExecution({ namespace, workflowExecution });
        deleted += 1;
      } catch (error) {
        if (grpcStatusOf(error) !== NOT_FOUND) throw error;
      }
    }
  }
  return deleted;
}

/** Of one execution: one that continued as new is over, too, though its run goes on. */
function isOver(status: string): boolean {
  return status === 'CONTINUED_AS_NEW' || standingOf(status).kind === 'ended';
}

/** The last execution, when it is over; undefined when it goes on, or is gone. */
async function findEndedExecution(client: Client, workflowId: string): Promise<string | undefined> {
  try {
    const { status, runId } = await client.workflow.getHandle(workflowId).describe();
    return isOver(status.name) ? runId : undefined;
  } catch (error) {
    if (nameOf(error) === 'WorkflowNotFoundError') return undefined;
    throw error;
  }
}
