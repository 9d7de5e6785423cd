// The conversation of the workload in Anthropic's words, for the contenders without Pawl. Pure: the sandbox loads it, too.
import type Anthropic from '@anthropic-ai/sdk';
import { type Job, referenceOf } from './contenders.ts';

export type Message = Anthropic.MessageParam;

/** The one tool call of an answer. */
export interface Call {
  readonly id: string;
  readonly reference: string;
}

export interface Transferred {
  readonly transferId: string;
  readonly note: string;
}

/** Every tool result adds 2 KiB. */
export const NOTE = 'n'.repeat(2_048);

export function firstMessage({ run, turns }: Job): Message {
  return { role: 'user', content: JSON.stringify({ turns, run }) };
}

/** Undefined when the model is done. */
export function callOf(answer: Message): Call | undefined {
  if (typeof answer.content === 'string') return undefined;
  const call = answer.content.find((block) => block.type === 'tool_use');
  if (call?.type !== 'tool_use') return undefined;
  return { id: call.id, reference: (call.input as { reference: string }).reference };
}

export function resultMessage({ id }: Call, transferred: Transferred): Message {
  const content = JSON.stringify(transferred);
  return { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content }] };
}

/** Throws when the model asked for another transfer than the one of this turn. */
export function checkCall({ reference }: Call, { run }: Job, turn: number): void {
  if (reference !== referenceOf(run, turn)) {
    throw new Error(`turn ${turn} of ${run} asked for ${reference}`);
  }
}
