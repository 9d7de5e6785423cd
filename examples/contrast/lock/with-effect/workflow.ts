// One task, paid as an effect.
import { effect } from 'pawl/workflows';
import type { Payment, Transfer } from '../payment.ts';
import type { payTask } from './tools.ts';

export * from 'pawl/workflows';
const payOnce = effect<typeof payTask>('pay_task');

export async function runTask(payment: Payment): Promise<Transfer> {
  return payOnce(payment, { runKey: payment.reference });
}
