// One workflow shape, three kinds of step: so many payments, one after the other. Runs in Temporal's sandbox.
import { scheduleActivity } from '@temporalio/workflow';
import { effect } from 'pawl/workflows';
import { toolOptions } from '../../workflows/activity-options.ts';
import type { TransferTool } from './variants.ts';

export * from 'pawl/workflows';

export interface Payments {
  readonly runKey: string;
  readonly bankUrl: string;
  readonly effects: number;
}

const TIMEOUT_MS = 30_000;
const transferOnce = effect<TransferTool>('transfer', { timeoutMs: TIMEOUT_MS });

/** Workflow `plain`. */
export async function plain(payments: Payments): Promise<void> {
  await payAll(payments, (reference) => bare('transferPlain', payments, reference));
}

/** Workflow `ledger`. */
export async function ledger(payments: Payments): Promise<void> {
  const { runKey } = payments;
  await payAll(payments, (reference) => transferOnce({ reference }, { runKey }));
}

/** Workflow `floor`. */
export async function floor(payments: Payments): Promise<void> {
  await payAll(payments, (reference) => bare('transferAndCommit', payments, reference));
}

async function payAll(
  { runKey, effects }: Payments,
  pay: (reference: string) => Promise<unknown>,
): Promise<void> {
  for (let nth = 1; nth <= effects; nth += 1) await pay(`${runKey}-${nth}`);
}

/** With the time-outs and retries that the tool's activity has. */
function bare(type: string, { bankUrl }: Payments, reference: string): Promise<unknown> {
  return scheduleActivity(type, [bankUrl, reference], toolOptions(TIMEOUT_MS, 'transfer'));
}
