// The payouts agent: data only. The policy file says what it may do by itself.
import { fileURLToPath } from 'node:url';
import { defineAgent } from 'pawl';
import { z } from 'zod';
import { listInvoices, notify, payInvoice } from './tools.ts';

/** Where the agent's tools reach the outside world. */
export interface PayoutsAddresses {
  readonly bankUrl: string;
  readonly mailboxUrl: string;
}

export const createPayouts = ({ bankUrl, mailboxUrl }: PayoutsAddresses) =>
  defineAgent({
    name: 'payouts',
    input: z.object({ file: z.string() }),
    output: z.object({
      paid: z.array(z.string()),
      skipped: z.array(z.object({ invoice: z.string(), reason: z.string() })),
    }),
    instructions:
      'You pay the invoices of a file. List them, pay each one that can be paid with pay_invoice, one call per row, ' +
      'even where a row repeats: paying is safe to repeat. Copy amounts exactly. If a payment is refused or invalid, ' +
      'do not change it to make it pass: note the reason. When all rows are done, send one notification to accounting ' +
      'with subject "Payouts" and what was paid and skipped, then answer.',
    tools: [listInvoices, payInvoice(bankUrl), notify(mailboxUrl)],
    model: {
      primary: process.env['PAYOUTS_MODEL'] ?? 'anthropic/claude-sonnet-5-5',
      fallbacks: [],
    },
    policy: fileURLToPath(new URL('./policies/payouts.cedar', import.meta.url)),
    budget: { turns: 30, usd: '2.00', deadline: '7d', denials: 10 },
    approvalExpiry: '24h',
  });
