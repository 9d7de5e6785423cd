// Streams as raw bytes through the real adapters and SDKs, for answers that no well-behaved provider gives.
import { createAnthropicProvider } from '../../activities/models/anthropic.ts';
import type { ModelProvider as Adapter } from '../../activities/models/model-provider.ts';
import { createOpenAiProvider } from '../../activities/models/openai.ts';
import type { ModelAnswer } from '../../domain/rules/transcript.ts';
import { API_KEY, callContext, modelRequest } from './model-calls.ts';

export const adapters = {
  anthropic: createAnthropicProvider({ apiKey: API_KEY }),
  openai: createOpenAiProvider({ apiKey: API_KEY }),
} satisfies Record<string, Adapter>;

export type Format = keyof typeof adapters;

/** The answer of the real adapter to a stream of these bytes. */
export function readStream(format: Format, body: string | ReadableStream): Promise<ModelAnswer> {
  const headers = { 'content-type': 'text/event-stream', 'request-id': 'req_1' };
  const answered = new Response(body, { headers });
  const { context } = callContext({ fetch: () => Promise.resolve(answered) });
  return adapters[format].call(modelRequest(), context);
}

/** Events of Anthropic's stream as bytes. */
export function anthropicBody(events: readonly object[]): string {
  return events
    .map((event) => `event: ${String((event as { type?: unknown }).type)}\n${toData(event)}`)
    .join('');
}

/** Chunks of OpenAI's stream as bytes. */
export function openaiBody(chunks: readonly unknown[]): string {
  return `${chunks.map(toData).join('')}data: [DONE]\n\n`;
}

function toData(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

interface Block {
  readonly start: object;
  readonly deltas?: readonly object[];
}

/** A whole message of Anthropic's with these blocks. */
export function anthropicEvents(blocks: readonly Block[], stopReason: unknown): object[] {
  const usage = { input_tokens: 10, output_tokens: 1 };
  return [
    { type: 'message_start', message: { id: 'msg_1', model: 'model-1', content: [], usage } },
    ...blocks.flatMap(({ start, deltas = [] }, index) => [
      { type: 'content_block_start', index, content_block: start },
      ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
      { type: 'content_block_stop', index },
    ]),
    { type: 'message_delta', delta: { stop_reason: stopReason }, usage: { output_tokens: 5 } },
    { type: 'message_stop' },
  ];
}

export function textBlock(text: string): Block {
  return { start: { type: 'text', text: '' }, deltas: [{ type: 'text_delta', text }] };
}

export function callBlock(id: unknown, name: unknown, ...pieces: readonly string[]): Block {
  const deltas = pieces.map((piece) => ({ type: 'input_json_delta', partial_json: piece }));
  return { start: { type: 'tool_use', id, name, input: {} }, deltas };
}

/** A whole completion of OpenAI's with these deltas. */
export function openaiChunks(deltas: readonly object[], finishReason: unknown): object[] {
  const chunk = (delta: object, reason: unknown = null): object => ({
    ...{ id: 'chatcmpl-1', model: 'model-1' },
    choices: [{ index: 0, delta, finish_reason: reason }],
  });
  const usage = { prompt_tokens: 10, completion_tokens: 5 };
  return [
    ...[{ role: 'assistant' }, ...deltas].map((delta) => chunk(delta)),
    chunk({}, finishReason),
    { id: 'chatcmpl-1', model: 'model-1', choices: [], usage },
  ];
}

/** Parts of the calls of an answer. */
export function callsOf({ parts }: ModelAnswer): object[] {
  return parts.filter(({ kind }) => kind === 'tool-call');
}
