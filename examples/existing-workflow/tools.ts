// The refund as a tool: what used to be an activity, with what its receiver offers stated beside it.
import { defineTool, httpEffect } from 'pawl';
import { z } from 'zod';

const transfer = z.object({ transferId: z.string() });

export const refund = defineTool({
  name: 'refund',
  description: 'Refunds an order.',
  input: z.object({ orderId: z.string(), cents: z.number().int().positive() }),
  output: transfer,
  effect: { key: { retention: '24h' }, identity: ({ orderId }) => ['refund', orderId] },
  run: httpEffect({
    request: ({ orderId, cents }) => ({
      url: `${process.env['PAYMENTS_URL'] ?? 'http://127.0.0.1:8801'}/transfers`,
      body: { reference: orderId, payee: 'customer', amountMinor: cents, currency: 'EUR' },
    }),
    response: (body) => transfer.parse(body),
  }),
});
