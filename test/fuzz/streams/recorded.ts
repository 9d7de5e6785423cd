// Well-formed streams of both formats, as the provider fixtures send them; each event knows the block that it is of.
import { anthropicWire } from '../../../devstack/receivers/anthropic-wire.ts';
import type { ModelReply, NeutralRequest } from '../../../devstack/receivers/model-script.ts';
import { toFullReply } from '../../../devstack/receivers/model-wire.ts';
import { openaiWire } from '../../../devstack/receivers/openai-wire.ts';
import type { Dice } from './dice.ts';

export type Format = 'anthropic' | 'openai';

/** One event on its way to being changed. */
export interface StreamEvent {
  /** JSON; what is sent is its text. */
  value: unknown;
  /** Sent in place of the value: bytes that no JSON gives. */
  bytes?: string;
  /** The number of the block or call that it is a piece of. */
  readonly owner?: number;
}

/** A call as it was before anything changed. */
export interface RecordedCall {
  readonly owner: number;
  readonly id: string;
  readonly name: string;
  /** Stands in its arguments and nowhere else; empty for a call without arguments. */
  readonly tag: string;
  readonly arguments: unknown;
}

export interface RecordedStream {
  readonly format: Format;
  readonly events: readonly StreamEvent[];
  readonly calls: readonly RecordedCall[];
}

const STOP_WORDS: Readonly<Record<Format, readonly unknown[]>> = {
  anthropic: [
    ...['end_turn', 'tool_use', 'tool_use', 'tool_use', 'stop_sequence', 'max_tokens', 'refusal'],
    ...['pause_turn', 'model_context_window_exceeded', 'brand_new', null],
  ],
  openai: [
    ...['stop', 'tool_calls', 'tool_calls', 'tool_calls', 'length', 'content_filter'],
    ...['function_call', 'brand_new'],
  ],
};
const NAMES = ['pay', 'pay', 'refund', 'wipe', 'multi_tool_use.parallel', '', 'x'.repeat(300)];

/** A stream of a random answer; `tag` names its calls apart from all others. */
export function record(format: Format, dice: Dice, tag: string): RecordedStream {
  const first = format === 'anthropic' ? Number(dice.chance(0.5)) : 0;
  const thinking = format === 'anthropic' && dice.chance(0.3) ? 'Let me think about this.' : '';
  const text = dice.pick(['', 'I will pay that for you now.', '\n\n', 'Grüße 😀 und mehr Text.']);
  const blocksBefore = format === 'anthropic' ? Number(thinking !== '') + Number(text !== '') : 0;
  const calls = Array.from({ length: dice.pick([0, 1, 1, 2, 2, 3]) }, (_, at) =>
    toCall(dice, blocksBefore + at, `${tag}-${at}`),
  );
  const reply: ModelReply = {
    text,
    ...(thinking ? { thinking } : {}),
    toolCalls: calls.map((call) => ({ ...call, arguments: call.tag ? call.arguments : '' })),
    usage: { inputTokens: 100 + first, outputTokens: 20 },
  };
  return { format, events: toEvents(format, reply, dice.pick(STOP_WORDS[format])), calls };
}

function toCall(dice: Dice, owner: number, tag: string): RecordedCall {
  const id = dice.chance(0.1) ? dice.pick(['', 'a', 'a:b']) : `call_${tag}`;
  const name = dice.pick(NAMES);
  if (dice.chance(0.1)) return { owner, id, name, tag: '', arguments: {} };
  const args = { to: tag, amount: 1_000, note: `a longer text that comes in pieces, ${tag}` };
  return { owner, id, name, tag, arguments: args };
}

function toEvents(format: Format, reply: ModelReply, stopWord: unknown): StreamEvent[] {
  const wire = format === 'anthropic' ? anthropicWire : openaiWire;
  const request = { model: 'model-1', raw: { stream_options: { include_usage: true } } };
  const neutral = request as unknown as NeutralRequest;
  const full = toFullReply(wire, neutral, reply, { inputTokens: 1, cacheReadTokens: 0 });
  return wire.stream(full, neutral).flatMap(({ data }): StreamEvent[] => {
    if (typeof data === 'string') return [];
    const value = structuredClone(data) as Record<string, unknown>;
    setStopWord(value, stopWord);
    const owner = ownerOf(value);
    return [owner === undefined ? { value } : { value, owner }];
  });
}

interface Shape {
  type?: unknown;
  index?: number;
  delta?: { stop_reason?: unknown };
  choices?: {
    finish_reason?: unknown;
    delta?: { tool_calls?: { index: number }[] };
  }[];
}

function setStopWord(value: Shape, word: unknown): void {
  if (value.type === 'message_delta' && value.delta) value.delta.stop_reason = word;
  const choice = value.choices?.[0];
  if (choice?.finish_reason) choice.finish_reason = word;
}

function ownerOf(value: Shape): number | undefined {
  return value.choices ? value.choices[0]?.delta?.tool_calls?.[0]?.index : value.index;
}
