// Moves money between two accounts: withdraw, deposit, and refund when the deposit fails; as Temporal's tutorial teaches.
import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { PaymentDetails } from '../transfer.ts';
import type * as activities from './activities.ts';

const { withdraw, deposit, refund } = proxyActivities<typeof activities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 500 },
});

export async function moneyTransfer(details: PaymentDetails): Promise<string> {
  const withdrawal = await withdraw(details);
  try {
    const deposited = await deposit(details);
    return `Transfer complete (transaction IDs: ${withdrawal}, ${deposited})`;
  } catch (cause) {
    const refunded = await refund(details);
    throw ApplicationFailure.nonRetryable(
      `The deposit failed, the money went back (transaction ID: ${refunded}): ${String(cause)}`,
      'DepositFailed',
    );
  }
}
