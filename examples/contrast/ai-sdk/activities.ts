// The payments of the AI SDK agent: those of plain/, line for line, on the plugin's own copy of Temporal's packages.
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { bankUrls, type Invoice, toTransferRequest, type Transfer } from '../invoice.ts';

const TIMEOUT_MS = 3_000;

export function payNorth(invoice: Invoice): Promise<Transfer> {
  return pay(bankUrls.north, invoice);
}

export function paySouth(invoice: Invoice): Promise<Transfer> {
  return pay(bankUrls.south, invoice);
}

async function pay(bankUrl: string, invoice: Invoice): Promise<Transfer> {
  const { workflowExecution, activityId } = Context.current().info;
  const answer = await fetch(`${bankUrl}/transfers`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'idempotency-key': `${workflowExecution?.runId}:${activityId}`,
    },
    body: JSON.stringify(toTransferRequest(invoice)),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.status === 400) throw ApplicationFailure.nonRetryable(await answer.text(), 'Declined');
  if (!answer.ok) throw new Error(`The bank answers ${answer.status}`);
  return (await answer.json()) as Transfer;
}
