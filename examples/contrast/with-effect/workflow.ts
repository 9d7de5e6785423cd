// Pays the invoices of a batch one after the other: effects, which are settled by the ledger.
import { effect } from 'pawl/workflows';
import type { Batch, Transfer } from '../invoice.ts';
import type * as tools from './tools.ts';

export * from 'pawl/workflows';
const payNorth = effect<typeof tools.payNorth>('pay_north');
const paySouth = effect<typeof tools.paySouth>('pay_south');

export async function payInvoices({ batch, invoices }: Batch): Promise<Transfer[]> {
  const transfers: Transfer[] = [];
  for (const invoice of invoices) {
    const pay = invoice.bank === 'north' ? payNorth : paySouth;
    transfers.push(await pay(invoice, { runKey: batch }));
  }
  return transfers;
}
