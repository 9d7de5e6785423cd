// Pawl's messages in Anthropic's wire format and back. Pure: the same request always gives the same bytes.
import type Anthropic from '@anthropic-ai/sdk';
import type { Json } from '../../domain/rules/json.ts';
import type {
  Message,
  ModelAnswer,
  ModelRequest,
  Part,
  StopReason,
  ToolCallPart,
} from '../../domain/rules/transcript.ts';
import { AnswerCutError, AnswerFormatError } from './sdk-errors.ts';
import { fromArgumentsText, toResultText, toStable, toWireId } from './wire-values.ts';

interface WireMessage {
  role: 'user' | 'assistant';
  content: Anthropic.ContentBlockParam[];
}
type WireRequest = Anthropic.MessageCreateParamsStreaming;

const CACHE_MARK = { cache_control: { type: 'ephemeral' } } as const;

/** The request body; `messages` come last, so that the bytes of two turns share the longest prefix. */
export function toAnthropicRequest(request: ModelRequest): WireRequest {
  const { model, system, tools, maxOutputTokens } = request;
  return {
    model,
    max_tokens: maxOutputTokens,
    stream: true,
    // Anthropic moves this mark to the last block by itself: marking it ourselves would change old bytes.
    ...CACHE_MARK,
    ...(tools.length > 0 ? { tools: toTools(request) } : {}),
    ...(system ? { system: [{ type: 'text', text: system, ...CACHE_MARK }] } : {}),
    messages: mergeNeighbours(request.messages.map((message) => toWire(message, model))),
  };
}

/** The cache mark on the system text covers the tools before it; without one the last tool carries it. */
function toTools({ tools, system }: ModelRequest): Anthropic.Tool[] {
  return tools.map(({ name, description, inputSchema }, index) => ({
    name,
    description,
    input_schema: inputSchema as unknown as Anthropic.Tool.InputSchema,
    ...(!system && index === tools.length - 1 ? CACHE_MARK : {}),
  }));
}

function toWire(message: Message, model: string): WireMessage {
  const role = message.role === 'assistant' ? 'assistant' : 'user';
  return { role, content: message.parts.flatMap((part) => toBlocks(part, model)) };
}

function toBlocks(part: Part, model: string): Anthropic.ContentBlockParam[] {
  switch (part.kind) {
    case 'text':
      return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    case 'tool-call':
      return [{ type: 'tool_use', id: toWireId(part.id), name: part.name, input: toInput(part) }];
    case 'tool-result': {
      const tool_use_id = toWireId(part.id);
      const error = part.isError ? { is_error: true } : {};
      return [{ type: 'tool_result', tool_use_id, content: toResultText(part), ...error }];
    }
    case 'opaque':
      return fromOpaque(part.provider, part.data, model);
  }
}

/** Anthropic takes an object only; what the model wrote is shown to it inside one. */
function toInput(part: ToolCallPart): Json {
  if (part.malformed !== undefined) return { malformed_arguments: part.malformed };
  const value = part.arguments;
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? toStable(value) : { value };
}

/** Thinking is signed for the model that thought it: any other model gets the rest of the message only. */
function fromOpaque(provider: string, data: Json, model: string): Anthropic.ContentBlockParam[] {
  if (provider !== 'anthropic' || typeof data !== 'object' || data === null) return [];
  const kept = data as { model?: Json; block?: Json };
  return kept.model === model ? [kept.block as unknown as Anthropic.ContentBlockParam] : [];
}

/** All results of one turn must stand in one user message, and roles must alternate. */
function mergeNeighbours(messages: readonly WireMessage[]): WireMessage[] {
  const merged: WireMessage[] = [];
  for (const { role, content } of messages) {
    const last = merged.at(-1);
    if (content.length === 0) continue;
    if (last?.role === role) last.content.push(...content);
    else merged.push({ role, content: [...content] });
  }
  return merged;
}

/** One content block as it grows; `json` collects the pieces of a tool's input. */
interface GrowingBlock {
  readonly block: { type: string; [key: string]: unknown };
  json: string;
}

type Counts = Partial<Record<keyof Anthropic.MessageDeltaUsage, unknown>>;

/** Puts the events of a stream together. */
export class AnthropicAnswer {
  readonly #requestedModel: string;
  readonly #blocks = new Map<number, GrowingBlock>();
  #servedModel = '';
  #stopReason: string | null = null;
  #isComplete = false;
  #counts: Counts = {};

  constructor(requestedModel: string) {
    this.#requestedModel = requestedModel;
  }

  /** Takes the next event; unknown kinds are skipped, as Anthropic asks of its clients. */
  add(event: Anthropic.RawMessageStreamEvent): void {
    switch (event.type) {
      case 'message_start':
        this.#servedModel = event.message.model;
        this.#count(event.message.usage as unknown as Counts);
        break;
      case 'content_block_start':
        this.#blocks.set(event.index, { block: { ...event.content_block }, json: '' });
        break;
      case 'content_block_delta':
        this.#grow(event.index, event.delta);
        break;
      case 'message_delta':
        this.#stopReason = event.delta.stop_reason ?? this.#stopReason;
        this.#count(event.usage as unknown as Counts);
        break;
      case 'message_stop':
        this.#isComplete = true;
        break;
      case 'content_block_stop':
        break;
    }
  }

  /** The answer; throws an `AnswerCutError` when the stream ended too early. */
  finish(requestId: string | undefined): ModelAnswer {
    if (!this.#isComplete) throw new AnswerCutError('the stream ended before message_stop');
    const parts = [...this.#blocks.values()].map((grown) => this.#toPart(grown));
    const cached = this.#number('cache_read_input_tokens');
    const written = this.#number('cache_creation_input_tokens');
    return {
      parts: parts.filter((part) => part.kind !== 'text' || part.text !== ''),
      usage: {
        inputTokens: this.#number('input_tokens') + cached + written,
        outputTokens: this.#number('output_tokens'),
        cachedInputTokens: cached,
        cacheWriteInputTokens: written,
      },
      stopReason: toStopReason(this.#stopReason),
      servedModel: this.#servedModel,
      requestId,
    };
  }

  #grow(index: number, delta: Anthropic.RawContentBlockDelta): void {
    const grown = this.#blocks.get(index);
    if (!grown) throw new AnswerFormatError(`a delta for block ${index}, which never started`);
    const { block } = grown;
    if (delta.type === 'text_delta') block['text'] = `${block['text'] ?? ''}${delta.text}`;
    if (delta.type === 'thinking_delta')
      block['thinking'] = `${block['thinking'] ?? ''}${delta.thinking}`;
    if (delta.type === 'signature_delta') block['signature'] = delta.signature;
    if (delta.type === 'input_json_delta') grown.json += delta.partial_json;
  }

  #toPart({ block, json }: GrowingBlock): Part {
    if (block.type === 'text') return { kind: 'text', text: String(block['text'] ?? '') };
    if (block.type === 'tool_use') {
      const text = json || JSON.stringify(block['input'] ?? {});
      return fromArgumentsText(String(block['id']), String(block['name']), text);
    }
    const whole = json ? { ...block, input: JSON.parse(json) as unknown } : block;
    const data = { model: this.#requestedModel, block: whole } as unknown as Json;
    return { kind: 'opaque', provider: 'anthropic', data };
  }

  /** Counts are cumulative: a later one replaces, a missing one leaves what was there. */
  #count(counts: Counts | undefined): void {
    const known = Object.entries(counts ?? {}).filter(([, value]) => typeof value === 'number');
    this.#counts = { ...this.#counts, ...Object.fromEntries(known) };
  }

  #number(name: keyof Counts): number {
    return Number(this.#counts[name] ?? 0);
  }
}

const STOP_REASONS: Readonly<Record<string, StopReason>> = {
  tool_use: 'tool-calls',
  max_tokens: 'max-tokens',
  model_context_window_exceeded: 'max-tokens',
  refusal: 'refusal',
};

function toStopReason(stopReason: string | null): StopReason {
  return STOP_REASONS[stopReason ?? ''] ?? 'end';
}
