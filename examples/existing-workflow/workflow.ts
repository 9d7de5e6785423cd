// An order workflow as you may have it, with its refund as an effect; the marked lines are what was added.

// region workflow
import { proxyActivities } from '@temporalio/workflow';
import { effect } from 'pawl/workflows'; // +
import type * as activities from './activities.ts';
import type { refund } from './tools.ts'; // +

export * from 'pawl/workflows'; // +
const refundOnce = effect<typeof refund>('refund'); // +
const { findOrder } = proxyActivities<typeof activities>({ startToCloseTimeout: '30s' });

export async function cancelOrder(orderId: string): Promise<string> {
  const { cents } = await findOrder(orderId);
  const { transferId } = await refundOnce({ orderId, cents }, { runKey: `cancel-${orderId}` }); // +
  return transferId;
}
// endregion
