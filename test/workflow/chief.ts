// The agent of the sub-agent tests: a chief who has cashiers pay, each of them a clerk with a run of its own.
import { defineAgent } from 'pawl';
import { type ModelReply, type ModelScript, type Receivers, toolResults } from 'pawl/testing';
import { z } from 'zod';
import type { NeutralRequest } from '../../devstack/receivers/index.ts';
import type { AnyAgent } from '../../testing/test-run-options.ts';
import { calls, clerk, pay } from './clerk.ts';

export const ORDER = { order: 'r-1' };

/** Asks its cashiers to pay; has no tools of its own. */
export function chief(
  r: Receivers,
  { cashier = {}, ...change }: Record<string, unknown> = {},
): AnyAgent {
  const cashierAgent = {
    ...clerk(r, cashier as object),
    name: 'cashier',
    description: 'Pays one thing.',
    input: z.object({ reference: z.string(), cents: z.number().default(2_000) }),
  } as AnyAgent;
  return defineAgent({
    name: 'chief',
    input: z.object({ order: z.string() }),
    instructions: 'You have others do it.',
    tools: [],
    agents: [cashierAgent],
    model: { primary: 'anthropic/claude-haiku-4-5', fallbacks: [] },
    ...change,
  });
}

export const firstText = ({ messages }: NeutralRequest): string => {
  const part = messages[0]?.parts[0];
  return part?.kind === 'text' ? part.text : '';
};

/** The chief says what `chiefSays` says; a cashier pays what it is told to and answers with the transfer. */
export function script(
  chiefSays: (done: number, request: NeutralRequest) => ModelReply,
): ModelScript {
  return (request) => {
    const text = firstText(request);
    const done = toolResults(request).length;
    if (text.includes('"order"')) return chiefSays(done, request);
    const { reference, cents } = JSON.parse(text) as { reference: string; cents: number };
    return done === 0 ? calls(pay(reference, cents)) : { text: `paid ${reference}` };
  };
}

export const ask = (...references: readonly string[]): ModelReply =>
  calls(...references.map((reference): [string, unknown] => ['cashier', { reference }]));
