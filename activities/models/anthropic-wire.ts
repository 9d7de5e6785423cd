// Pawl's messages in Anthropic's wire format. Pure: the same request always gives the same bytes.
import type Anthropic from '@anthropic-ai/sdk';
import type { ModelRequest } from '../../domain/rules/transcript.ts';
import { toObject } from './reported.ts';
import {
  type OpaquePart,
  type SendableMessage,
  type SendablePart,
  toSendable,
} from './sendable.ts';
import { toArgumentsObject, toSystemText, toWireText } from './wire-values.ts';

interface WireMessage {
  role: 'user' | 'assistant';
  content: Anthropic.ContentBlockParam[];
}
type WireRequest = Anthropic.MessageCreateParamsStreaming;

const CACHE_MARK = { cache_control: { type: 'ephemeral' } } as const;

/** The request body; `messages` come last, so that the bytes of two turns share the longest prefix. */
export function toAnthropicRequest(request: ModelRequest): WireRequest {
  const { model, tools, maxOutputTokens } = request;
  const system = toSystemText(request);
  return {
    model,
    max_tokens: maxOutputTokens,
    stream: true,
    // Anthropic moves this mark to the last block by itself: marking it ourselves would change old bytes.
    ...CACHE_MARK,
    ...(tools.length > 0 ? { tools: toTools(request, system !== '') } : {}),
    ...(system ? { system: [{ type: 'text', text: system, ...CACHE_MARK }] } : {}),
    messages: toSendable(request.messages, (part) => takesOpaque(part, model)).map(toWire),
  };
}

/** The cache mark on the system text covers the tools before it; without one the last tool carries it. */
function toTools({ tools }: ModelRequest, hasSystem: boolean): Anthropic.Tool[] {
  return tools.map(({ name, description, inputSchema }, index) => ({
    name,
    description,
    input_schema: inputSchema as unknown as Anthropic.Tool.InputSchema,
    ...(!hasSystem && index === tools.length - 1 ? CACHE_MARK : {}),
  }));
}

function toWire(message: SendableMessage): WireMessage {
  if (message.role === 'assistant')
    return { role: 'assistant', content: message.parts.map(toBlock) };
  // All results must come first.
  const results = message.results.map(({ id, text, isError }) => ({
    type: 'tool_result' as const,
    tool_use_id: id,
    content: text,
    ...(isError ? { is_error: true } : {}),
  }));
  const texts = message.texts.map((text) => ({ type: 'text' as const, text }));
  return { role: 'user', content: [...results, ...texts] };
}

function toBlock(part: SendablePart): Anthropic.ContentBlockParam {
  switch (part.kind) {
    case 'text':
      return { type: 'text', text: part.text };
    case 'tool-call':
      return { type: 'tool_use', id: part.id, name: part.name, input: toArgumentsObject(part) };
    case 'opaque':
      return toObject(part.data)['block'] as Anthropic.ContentBlockParam;
  }
}

/**
 * Thinking is signed for the model that thought it: any other model gets the rest of the message only. Other blocks that
 * are not ours to read belong to tools of the provider's server, which are never offered here.
 */
function takesOpaque({ provider, data }: OpaquePart, model: string): boolean {
  const kept = toObject(data);
  const { type, thinking, signature, data: redacted } = toObject(kept['block']);
  if (provider !== 'anthropic' || kept['model'] !== model) return false;
  if (type === 'redacted_thinking') return isSealed(redacted);
  return type === 'thinking' && isWellFormed(thinking) && isSealed(signature);
}

function isSealed(value: unknown): boolean {
  return isWellFormed(value) && value !== '';
}

function isWellFormed(value: unknown): boolean {
  return typeof value === 'string' && toWireText(value) === value;
}
