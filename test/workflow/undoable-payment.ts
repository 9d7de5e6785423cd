// A payment at the fake bank that can be undone: by another transfer, whose reference ends with `-undo`.
import { httpEffect, type ToolContext } from 'pawl';
import type { Receivers } from 'pawl/testing';
import { z } from 'zod';

export const payment = z.object({ reference: z.string(), cents: z.number() });
export type Payment = z.infer<typeof payment>;
export const transfer = z.object({ transferId: z.string() });
export type Transfer = z.infer<typeof transfer>;

/** The `run` and the `compensate` of such a tool. */
export function undoable({ bank }: Receivers) {
  const post = (reference: (input: Payment) => string) =>
    httpEffect({
      request: (input: Payment) => ({
        url: `${bank.url}/transfers`,
        body: {
          reference: reference(input),
          payee: 'x',
          amountMinor: input.cents,
          currency: 'EUR',
        },
      }),
      response: (body) => transfer.parse(body),
    });
  const undo = post(({ reference }) => `${reference}-undo`);
  return {
    run: post(({ reference }) => reference),
    compensate: (input: Payment, _: Transfer, ctx: ToolContext) => undo(input, ctx),
  };
}
