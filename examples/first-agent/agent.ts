// The first agent of the README: one tool that moves money, and no policy file, so a human approves each refund.
import { defineAgent, defineTool, httpEffect } from 'pawl';
import { z } from 'zod';

const refund = defineTool({
  name: 'refund',
  description: 'Refunds an order.',
  input: z.object({ orderId: z.string(), cents: z.number().int().positive() }),
  output: z.object({ transferId: z.string() }),
  effect: {
    key: { retention: '24h' }, // the receiver honours an idempotency key for a day
    identity: ({ orderId }) => ['refund', orderId], // the same refund, in any turn or run
    amount: ({ cents }) => ({ minor: cents, currency: 'EUR' }),
  },
  run: httpEffect({
    request: ({ orderId, cents }) => ({
      url: `${process.env['PAYMENTS_URL'] ?? 'http://127.0.0.1:8801'}/transfers`,
      body: { reference: orderId, payee: 'customer', amountMinor: cents, currency: 'EUR' },
    }),
    response: (body) => z.object({ transferId: z.string() }).parse(body),
  }),
});

export const support = defineAgent({
  name: 'support',
  input: z.object({ ticket: z.string() }),
  output: z.object({ resolved: z.boolean() }),
  instructions: 'You answer tickets of a shop. Refund an order when the ticket asks for it.',
  tools: [refund],
  model: { primary: 'anthropic/claude-sonnet-5-5' },
  budget: { turns: 10, usd: '0.50' },
});
