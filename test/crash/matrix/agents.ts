// The agent of the cells whose effect waits for a human: without a policy every effect needs an approval.
import { defineAgent } from 'pawl';
import { z } from 'zod';
import {
  type ModelScript,
  type NeutralRequest,
  toolResults,
} from '../../../devstack/receivers/index.ts';
import { tools } from './tools.ts';

export const asking = defineAgent({
  name: 'asking',
  input: z.object({ tool: z.string(), reference: z.string(), amountMinor: z.number().int() }),
  output: z.object({ done: z.boolean() }),
  instructions: 'Pay once.',
  tools: tools.filter(({ name }) => /_(plain|few)_/.test(name) && !name.startsWith('read')),
  model: { primary: 'anthropic/claude-sonnet-4-5', fallbacks: [] },
});

/** Its one call, then the end. */
export const script: ModelScript = (request: NeutralRequest) => {
  if (toolResults(request).length > 0) return { text: '{"done":true}' };
  const first = request.messages[0]?.parts[0];
  if (first?.kind !== 'text') throw new Error('the first message is the input');
  const { tool, ...order } = JSON.parse(first.text) as {
    readonly tool: string;
    readonly reference: string;
    readonly amountMinor: number;
  };
  return { toolCalls: [{ name: tool, arguments: order }] };
};
