// The agents whose workers are killed: short turns, one model call and one keyed transfer each; and one that needs an approval.
import { z } from 'zod';
import { type Agent, defineAgent, defineTool, httpEffect } from '../../domain/index.ts';
import { type ModelScript, toolResults } from '../../testing/index.ts';

export interface PayerInput {
  /** The transfers are `NAME-1`, `NAME-2`, … */
  readonly name: string;
  readonly turns: number;
}

/** Set to `yes` for a worker whose transfer is a `local` tool. */
export const LOCAL_TOOL = 'BENCH_LOCAL_TOOL';

/** What a model call and a transfer take, in milliseconds: a worker is mostly killed in one of them. */
export const MODEL_MS = 60;
export const BANK_MS = 120;

/** `payer` transfers without asking; `asker` is the same with Pawl's default policy, where each effect needs an approval. */
export function recoveryAgents(
  bankUrl: string,
  { local }: { readonly local: boolean },
): readonly Agent<PayerInput, string>[] {
  const transfer = defineTool({
    name: 'transfer',
    description: 'Transfers one cent.',
    input: z.object({ reference: z.string() }),
    output: z.object({ transferId: z.string() }),
    effect: { key: { retention: '24h' }, identity: ({ reference }) => ['transfer', reference] },
    ...(local ? { local } : { timeout: '10s' }),
    run: httpEffect({
      request: ({ reference }) => ({
        url: `${bankUrl}/transfers`,
        body: { reference, payee: 'Bench', amountMinor: 1, currency: 'EUR' },
      }),
      response: (body) => z.object({ transferId: z.string() }).parse(body),
    }),
  });
  const agent = (name: string, policy?: string): Agent<PayerInput, string> =>
    defineAgent({
      name,
      input: z.object({ name: z.string(), turns: z.number() }),
      instructions: 'Transfer one cent a turn.',
      tools: [transfer],
      model: { primary: 'anthropic/claude-sonnet-5-5' },
      budget: { turns: 200, usd: '1000.00', repeats: 10 },
      ...(policy === undefined ? {} : { policy }),
    });
  return [
    agent('payer', new URL('../paying-agent.cedar', import.meta.url).pathname),
    agent('asker'),
  ];
}

/** One transfer a turn, until all are done. */
export const payingScript: ModelScript = (request) => {
  const { name, turns } = inputOf(request);
  const done = toolResults(request).length;
  if (done >= turns) return { text: 'done', delayMs: MODEL_MS };
  const reference = `${name}-${done + 1}`;
  return { delayMs: MODEL_MS, toolCalls: [{ name: 'transfer', arguments: { reference } }] };
};

/** The run's input, from a request of its model. */
export function inputOf({ messages }: Parameters<ModelScript>[0]): PayerInput {
  const [first] = messages[0]?.parts ?? [];
  if (first?.kind !== 'text') throw new Error('the model was asked without an input');
  return JSON.parse(first.text) as PayerInput;
}
