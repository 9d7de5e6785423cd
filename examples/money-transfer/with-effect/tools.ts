// The same three operations as tools: each states what its bank offers.
import { absent, defineTool, found, httpEffect, unclear } from 'pawl';
import { z } from 'zod';
import { type Operation, bankUrlOf, toBooking, toReference } from '../transfer.ts';

const details = z.object({
  sourceAccount: z.string(),
  targetAccount: z.string(),
  amountMinor: z.number().int().positive(),
  referenceId: z.string(),
});
const booking = z.object({ transferId: z.string() });

/** Whether the banks honour idempotency keys; where they do not, they can still be asked by reference. */
const key = process.env['BANKS_HONOUR_KEYS'] === 'no' ? {} : { key: { retention: '24h' } as const };

function bookingTool<const Name extends Operation>(name: Name, description: string) {
  return defineTool({
    name,
    description,
    input: details,
    output: z.string(),
    effect: {
      ...key,
      probe: async ({ referenceId }, ctx) => {
        const reference = encodeURIComponent(toReference(name, referenceId));
        const answer = await ctx.read(`${bankUrlOf(name)}/transfers?reference=${reference}`);
        if (!answer.ok) return unclear(`the bank's look-up answers ${answer.status}`);
        const [first] = z.array(booking).parse(await answer.json());
        return first ? found(first.transferId) : absent();
      },
    },
    timeout: '5s',
    retry: { maximumAttempts: 10 },
    run: httpEffect({
      request: (input) => toBooking(name, input),
      response: (body) => booking.parse(body).transferId,
      refusals: [400],
    }),
  });
}

export const withdraw = bookingTool('withdraw', 'Takes the amount from the source account.');
export const deposit = bookingTool('deposit', 'Adds the amount to the target account.');
export const refund = bookingTool('refund', 'Gives the amount back to the source account.');
