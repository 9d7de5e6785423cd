// The same workflow with effects: ten lines are new, and what the ledger knows decides after a crash.
import { ApplicationFailure } from '@temporalio/workflow';
import { effect } from 'pawl/workflows';
import type { PaymentDetails } from '../transfer.ts';
import type * as tools from './tools.ts';

export * from 'pawl/workflows';
const withdraw = effect<typeof tools.withdraw>('withdraw');
const deposit = effect<typeof tools.deposit>('deposit');
const refund = effect<typeof tools.refund>('refund');

export async function moneyTransfer(details: PaymentDetails): Promise<string> {
  const withdrawal = await withdraw(details, { runKey: details.referenceId });
  try {
    const deposited = await deposit(details, { runKey: details.referenceId });
    return `Transfer complete (transaction IDs: ${withdrawal}, ${deposited})`;
  } catch (cause) {
    const refunded = await refund(details, { runKey: details.referenceId });
    throw ApplicationFailure.nonRetryable(
      `The deposit failed, the money went back (transaction ID: ${refunded}): ${String(cause)}`,
      'DepositFailed',
    );
  }
}
