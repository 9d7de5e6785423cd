// The two steps of a turn as a good engineer writes them without Pawl: the official SDK, and a POST with an idempotency key.
import Anthropic from '@anthropic-ai/sdk';
import { z } from 'zod';
import { readVariable, Variable } from './contenders.ts';
import { type Message, NOTE, type Transferred } from './messages.ts';

export interface Steps {
  /** Sends the whole transcript. */
  ask(messages: readonly Message[]): Promise<Message>;
  transfer(reference: string): Promise<Transferred>;
}

const transferred = z.object({ transferId: z.string() });

const TOOL = {
  name: 'transfer',
  description: 'Transfers one cent.',
  input_schema: {
    type: 'object' as const,
    properties: { reference: { type: 'string' } },
    required: ['reference'],
    additionalProperties: false,
  },
};

export interface Receivers {
  readonly providerUrl: string;
  readonly bankUrl: string;
}

export function receiversOfEnvironment(): Receivers {
  return { providerUrl: readVariable(Variable.Provider), bankUrl: readVariable(Variable.Bank) };
}

/** @default the receivers that the environment names */
export function createSteps(receivers: Receivers = receiversOfEnvironment()): Steps {
  const { providerUrl: baseURL, bankUrl } = receivers;
  const anthropic = new Anthropic({ apiKey: 'bench', baseURL, maxRetries: 0 });
  return {
    async ask(messages) {
      const { content } = await anthropic.messages.create({
        model: 'claude-sonnet-5-5',
        max_tokens: 4_096,
        system: 'Transfer one cent a turn.',
        tools: [TOOL],
        messages: [...messages],
      });
      return { role: 'assistant', content };
    },
    async transfer(reference) {
      const answer = await fetch(`${bankUrl}/transfers`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': reference },
        body: JSON.stringify({ reference, payee: 'Bench', amountMinor: 1, currency: 'EUR' }),
      });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
      return { ...transferred.parse(await answer.json()), note: NOTE };
    },
  };
}
