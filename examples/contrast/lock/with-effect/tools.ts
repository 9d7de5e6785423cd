// The payment as a tool: it looks whether the task is done, then pays; what guards it is the ledger, not a lock.
import { absent, defineTool, found, refused, type ToolContext, unclear } from 'pawl';
import { z } from 'zod';
import { bankUrl, type Payment, toTransferRequest } from '../payment.ts';

const transfer = z.object({ transferId: z.string(), reference: z.string() });

async function findTransfer({ reference }: Payment, ctx: Pick<ToolContext, 'read'>) {
  const answer = await ctx.read(`${bankUrl}/transfers?reference=${encodeURIComponent(reference)}`);
  if (!answer.ok) return unclear(`the bank's look-up answers ${answer.status}`);
  const [first] = z.array(transfer).parse(await answer.json());
  return first ? found(first) : absent();
}

/** The bank ignores keys: it can only be asked, by the business reference, what it has done. */
export const payTask = defineTool({
  name: 'pay_task',
  description: 'Pays one task.',
  input: z.object({
    reference: z.string(),
    payee: z.string(),
    amountMinor: z.number().int().positive(),
    currency: z.string().length(3),
  }),
  output: transfer,
  effect: { probe: findTransfer },
  timeout: '3s',
  retry: { maximumAttempts: 10 },
  run: async (input, ctx) => {
    const seen = await findTransfer(input, ctx);
    if (seen.kind === 'found') return seen.output;
    const answer = await ctx.fetch(`${bankUrl}/transfers`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(toTransferRequest(input)),
    });
    if (answer.status === 400) throw refused('declined', await answer.text());
    return transfer.parse(await answer.json());
  },
});
