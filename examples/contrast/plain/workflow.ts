// Pays the invoices of a batch one after the other: activities with a retry policy, as the documentation shows.
import { proxyActivities } from '@temporalio/workflow';
import type { Batch, Transfer } from '../invoice.ts';
import type * as activities from './activities.ts';

const { payNorth, paySouth } = proxyActivities<typeof activities>({
  startToCloseTimeout: '5s',
  retry: { initialInterval: '500ms', maximumInterval: '5s' },
});

export async function payInvoices({ invoices }: Batch): Promise<Transfer[]> {
  const transfers: Transfer[] = [];
  for (const invoice of invoices) {
    const pay = invoice.bank === 'north' ? payNorth : paySouth;
    transfers.push(await pay(invoice));
  }
  return transfers;
}
