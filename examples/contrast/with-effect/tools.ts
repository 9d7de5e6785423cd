// The payments as tools: each states what its bank offers, and nothing more.
import { absent, defineTool, found, httpEffect, type ToolContext, unclear } from 'pawl';
import { z } from 'zod';
import { bankUrls, type Invoice, toTransferRequest } from '../invoice.ts';

const invoice = z.object({
  bank: z.enum(['north', 'south']),
  reference: z.string(),
  payee: z.string(),
  amountMinor: z.number().int().positive(),
  currency: z.string().length(3),
});
const transfer = z.object({ transferId: z.string(), reference: z.string() });

function pay(
  bankUrl: string,
): (input: Invoice, ctx: ToolContext) => Promise<z.infer<typeof transfer>> {
  return httpEffect({
    request: (input: Invoice) => ({ url: `${bankUrl}/transfers`, body: toTransferRequest(input) }),
    response: (body) => transfer.parse(body),
    refusals: [400],
  });
}

/** This bank honours an idempotency key for a day. */
export const payNorth = defineTool({
  name: 'pay_north',
  description: 'Pays one invoice at the bank that honours keys.',
  input: invoice,
  output: transfer,
  effect: { key: { retention: '24h' } },
  timeout: '3s',
  retry: { maximumAttempts: 10 },
  run: pay(bankUrls.north),
});

/** This bank ignores keys: it can only be asked, by the business reference, what it has done. */
export const paySouth = defineTool({
  name: 'pay_south',
  description: 'Pays one invoice at the bank that ignores keys.',
  input: invoice,
  output: transfer,
  effect: {
    probe: async ({ reference }, ctx) => {
      const answer = await ctx.read(
        `${bankUrls.south}/transfers?reference=${encodeURIComponent(reference)}`,
      );
      if (!answer.ok) return unclear(`the bank's look-up answers ${answer.status}`);
      const [first] = z.array(transfer).parse(await answer.json());
      return first ? found(first) : absent();
    },
  },
  timeout: '3s',
  retry: { maximumAttempts: 10 },
  run: pay(bankUrls.south),
});
