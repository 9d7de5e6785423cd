// Pawl's messages in OpenAI's chat-completions format and back. Pure: the same request always gives the same bytes.
import type OpenAI from 'openai';
import type {
  Message,
  ModelAnswer,
  ModelRequest,
  Part,
  StopReason,
  ToolCallPart,
  ToolResultPart,
} from '../../domain/rules/transcript.ts';
import { AnswerCutError } from './sdk-errors.ts';
import { fromArgumentsText, toResultText, toStableText, toWireId } from './wire-values.ts';

type WireMessage = OpenAI.ChatCompletionMessageParam;
type WireRequest = OpenAI.ChatCompletionCreateParamsStreaming;
type Chunk = OpenAI.ChatCompletionChunk;
type ToolCallDelta = OpenAI.ChatCompletionChunk.Choice.Delta.ToolCall;

/** The request body; `messages` come last, so that the bytes of two turns share the longest prefix. */
export function toOpenAiRequest(request: ModelRequest): WireRequest {
  const { model, system, tools, maxOutputTokens } = request;
  const systemMessages: WireMessage[] = system ? [{ role: 'system', content: system }] : [];
  return {
    model,
    max_completion_tokens: maxOutputTokens,
    stream: true,
    stream_options: { include_usage: true },
    ...(tools.length > 0 ? { tools: toTools(request) } : {}),
    messages: [...systemMessages, ...request.messages.flatMap(toWire)],
  };
}

function toTools({ tools }: ModelRequest): OpenAI.ChatCompletionTool[] {
  return tools.map(({ name, description, inputSchema }) => ({
    type: 'function',
    function: { name, description, parameters: inputSchema as unknown as Record<string, unknown> },
  }));
}

/** Each result is a message of its own here; opaque parts are another provider's and stay behind. */
function toWire({ role, parts }: Message): WireMessage[] {
  const results = parts.filter((part) => part.kind === 'tool-result').map(toResult);
  const content = toText(parts);
  if (role !== 'assistant') {
    return content === '' ? results : [...results, { role: 'user', content }];
  }
  const calls = parts.filter((part) => part.kind === 'tool-call').map(toCall);
  if (calls.length > 0) return [{ role, content: content || null, tool_calls: calls }];
  return content === '' ? [] : [{ role, content }];
}

function toText(parts: readonly Part[]): string {
  return parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n');
}

function toCall(part: ToolCallPart): OpenAI.ChatCompletionMessageFunctionToolCall {
  const text = part.malformed ?? toStableText(part.arguments);
  return {
    id: toWireId(part.id),
    type: 'function',
    function: { name: part.name, arguments: text },
  };
}

/** This format has no error flag, so the text says it. */
function toResult(part: ToolResultPart): WireMessage {
  const text = toResultText(part);
  const content = part.isError ? `Error: ${text}` : text;
  return { role: 'tool', tool_call_id: toWireId(part.id), content };
}

/** Puts the chunks of a stream together. */
export class OpenAiAnswer {
  readonly #calls = new Map<number, { id: string; name: string; arguments: string }>();
  #text = '';
  #refusal = '';
  #servedModel = '';
  #finishReason: string | null = null;
  #usage: OpenAI.CompletionUsage | undefined;

  /** Takes the next chunk. */
  add(chunk: Chunk): void {
    this.#servedModel = chunk.model || this.#servedModel;
    this.#usage = chunk.usage ?? this.#usage;
    const [choice] = chunk.choices;
    if (!choice) return;
    this.#text += choice.delta.content ?? '';
    this.#refusal += choice.delta.refusal ?? '';
    this.#finishReason = choice.finish_reason ?? this.#finishReason;
    for (const call of choice.delta.tool_calls ?? []) this.#grow(call);
  }

  /** The answer; throws an `AnswerCutError` when the stream ended too early. Unreported usage counts as 0. */
  finish(requestId: string | undefined): ModelAnswer {
    if (this.#finishReason === null)
      throw new AnswerCutError('the stream ended without finish_reason');
    const text = this.#text || this.#refusal;
    const calls = [...this.#calls.values()];
    return {
      parts: [
        ...(text ? [{ kind: 'text', text } as const] : []),
        ...calls.map((call) => fromArgumentsText(call.id, call.name, call.arguments)),
      ],
      usage: {
        inputTokens: this.#usage?.prompt_tokens ?? 0,
        outputTokens: this.#usage?.completion_tokens ?? 0,
        cachedInputTokens: this.#usage?.prompt_tokens_details?.cached_tokens ?? 0,
      },
      stopReason: this.#stopReason(),
      servedModel: this.#servedModel,
      requestId,
    };
  }

  #grow(delta: ToolCallDelta): void {
    const call = this.#calls.get(delta.index) ?? { id: '', name: '', arguments: '' };
    call.id ||= delta.id ?? '';
    call.name ||= delta.function?.name ?? '';
    call.arguments += delta.function?.arguments ?? '';
    this.#calls.set(delta.index, call);
  }

  #stopReason(): StopReason {
    if (this.#refusal || this.#finishReason === 'content_filter') return 'refusal';
    if (this.#finishReason === 'length') return 'max-tokens';
    // Some compatible servers say `stop` after a tool call.
    return this.#calls.size > 0 ? 'tool-calls' : 'end';
  }
}
