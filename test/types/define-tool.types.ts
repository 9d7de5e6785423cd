// What the compiler infers and refuses for defineTool and defineAgent; compiled, never run.
import { defineAgent, defineTool, found, type ToolInput, type ToolOutput } from 'pawl';
import { z } from 'zod';
import { exactly } from './exactly.ts';

export const refund = defineTool({
  name: 'refund',
  description: 'Refund an order.',
  input: z.object({ orderId: z.string(), cents: z.number().int() }),
  output: z.object({ refundId: z.string() }),
  effect: {
    key: { retention: '24h' },
    identity: (input) => ['refund', input.orderId],
    amount: (input) => ({ minor: input.cents, currency: 'EUR' }),
    probe: async (input) => found({ refundId: input.orderId }),
  },
  retry: { maximumAttempts: 4 },
  timeout: '30s',
  limits: { callsPerRun: 5 },
  run: async (input, ctx) => {
    exactly<string>()(ctx.idempotencyKey);
    exactly<{ orderId: string; cents: number }>()(input);
    return { refundId: input.orderId };
  },
});

exactly<ToolInput<typeof refund>>()<{ orderId: string; cents: number }>();
exactly<ToolOutput<typeof refund>>()<{ refundId: string }>();

export const booking = defineTool({
  name: 'book',
  description: 'Book.',
  input: z.object({
    cents: z.string().transform(Number),
    due: z.iso.datetime().transform((text) => new Date(text)),
    currency: z.string().default('EUR'),
  }),
  output: z.void(),
  effect: {
    identity: ({ due }) => [due.getTime()],
    amount: ({ cents, currency }) => ({ minor: cents, currency }),
  },
  run: async (input) => {
    exactly<{ cents: number; due: Date; currency: string }>()(input);
  },
  compensate: async (input) => exactly<Date>()(input.due),
});

// A workflow gives what the schema parses, run gets what it makes of it.
exactly<ToolInput<typeof booking>>()<{
  cents: string;
  due: string;
  currency?: string | undefined;
}>();
exactly<ToolOutput<typeof booking>>()<void>();

const base = {
  name: 'refund',
  description: 'Refund an order.',
  input: z.object({ orderId: z.string() }),
  output: z.object({ refundId: z.string() }),
};
const run = async (): Promise<{ refundId: string }> => ({ refundId: '1' });

// @ts-expect-error: what run returns must match the output schema.
defineTool({ ...base, run: async () => ({ refund: '1' }) });

// @ts-expect-error: run does not know fields that the input schema does not have.
defineTool({ ...base, run: async (input) => ({ refundId: input.order }) });

// @ts-expect-error: contracts are derived from what the receiver offers, never named.
defineTool({ ...base, effect: 'keyed', run });

// @ts-expect-error: a retention has a unit.
defineTool({ ...base, effect: { key: { retention: '24' } }, run });

// @ts-expect-error: an identity is made of the tool's own input.
defineTool({ ...base, effect: { identity: (input) => [input.nobody] }, run });

// @ts-expect-error: a probe answers found, absent or unclear, not with a bare output.
defineTool({ ...base, effect: { probe: run }, run });

// @ts-expect-error: money has a currency.
defineTool({ ...base, effect: { amount: () => ({ minor: 1 }) }, run });

// @ts-expect-error: a misspelt option is no option.
defineTool({ ...base, timeOut: '30s', run });

export const support = defineAgent({
  name: 'support',
  input: z.object({ ticket: z.string() }),
  output: z.object({ resolved: z.boolean() }),
  instructions: 'Help.',
  tools: [refund],
  model: { primary: 'anthropic/claude-x', fallbacks: ['openai/gpt-x'] },
  budget: { turns: 20, usd: '0.50', deadline: '7d' },
});
exactly<z.infer<typeof support.input>>()<{ ticket: string }>();
exactly<NonNullable<typeof support.output>>()<z.ZodType<{ resolved: boolean }>>();

const agent = { name: 'a', input: z.object({}), instructions: '', tools: [] };

// @ts-expect-error: an agent names its primary model.
defineAgent({ ...agent, model: { fallbacks: ['openai/gpt-x'] } });

// @ts-expect-error: money is a decimal text, never a float.
defineAgent({ ...agent, model: { primary: 'a/b' }, budget: { usd: 0.5 } });

// @ts-expect-error: a tool is made by defineTool.
defineAgent({ ...agent, model: { primary: 'a/b' }, tools: [{ name: 'refund', run }] });
