// The same batch as an agent on the official AI SDK plugin: the model asks for each payment, an activity makes it.
import { temporalProvider } from '@temporalio/ai-sdk/workflow';
import { proxyActivities } from '@temporalio/workflow';
import { generateText, stepCountIs, tool } from 'ai';
import { z } from 'zod';
import type * as activities from './activities.ts';
import type { Batch, Invoice, Transfer } from '../invoice.ts';

const { payNorth, paySouth } = proxyActivities<typeof activities>({
  startToCloseTimeout: '5s',
  retry: { initialInterval: '500ms', maximumInterval: '5s' },
});

const invoice = z.object({
  bank: z.enum(['north', 'south']),
  reference: z.string(),
  payee: z.string(),
  amountMinor: z.number().int().positive(),
  currency: z.string().length(3),
});

export async function payInvoices({ invoices }: Batch): Promise<Transfer[]> {
  const { steps } = await generateText({
    model: temporalProvider.languageModel('claude-sonnet-5-5'),
    system: 'You pay each invoice of the list once, in order, with the tool of its bank.',
    prompt: JSON.stringify(invoices),
    tools: {
      pay_north: tool({
        description: 'Pays one invoice at the north bank.',
        inputSchema: invoice,
        execute: (input: Invoice) => payNorth(input),
      }),
      pay_south: tool({
        description: 'Pays one invoice at the south bank.',
        inputSchema: invoice,
        execute: (input: Invoice) => paySouth(input),
      }),
    },
    stopWhen: stepCountIs(invoices.length + 1),
  });
  return steps.flatMap(({ toolResults }) => toolResults.map(({ output }) => output as Transfer));
}
