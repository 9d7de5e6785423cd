// Pawl's messages in OpenAI's chat-completions format. Pure: the same request always gives the same bytes.
import type OpenAI from 'openai';
import type { ModelRequest, ToolCallPart } from '../../domain/rules/transcript.ts';
import { type SendableMessage, type SendableResult, toSendable } from './sendable.ts';
import { toArgumentsObject, toStableText, toSystemText } from './wire-values.ts';

type WireMessage = OpenAI.ChatCompletionMessageParam;
type WireRequest = OpenAI.ChatCompletionCreateParamsStreaming;

/** The request body; `messages` come last, so that the bytes of two turns share the longest prefix. */
export function toOpenAiRequest(request: ModelRequest): WireRequest {
  const { model, tools, maxOutputTokens } = request;
  const system = toSystemText(request);
  const systemMessages: WireMessage[] = system ? [{ role: 'system', content: system }] : [];
  // Opaque parts are another provider's.
  const messages = toSendable(request.messages, () => false);
  return {
    model,
    max_completion_tokens: maxOutputTokens,
    stream: true,
    stream_options: { include_usage: true },
    ...(tools.length > 0 ? { tools: toTools(request) } : {}),
    messages: [...systemMessages, ...messages.flatMap(toWire)],
  };
}

function toTools({ tools }: ModelRequest): OpenAI.ChatCompletionTool[] {
  return tools.map(({ name, description, inputSchema }) => ({
    type: 'function',
    function: { name, description, parameters: inputSchema as unknown as Record<string, unknown> },
  }));
}

/** Each result is a message of its own here. */
function toWire(message: SendableMessage): WireMessage[] {
  if (message.role === 'user') {
    const content = message.texts.join('\n');
    const said: WireMessage[] = content === '' ? [] : [{ role: 'user', content }];
    return [...message.results.map(toResult), ...said];
  }
  const { role, parts } = message;
  const texts = parts.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
  const calls = parts.flatMap((part) => (part.kind === 'tool-call' ? [toCall(part)] : []));
  const content = texts.join('\n');
  if (calls.length > 0) return [{ role, content: content || null, tool_calls: calls }];
  return [{ role, content }];
}

/** What the model wrote that is not JSON is shown to it as JSON: some compatible servers parse it. */
function toCall(part: ToolCallPart): OpenAI.ChatCompletionMessageFunctionToolCall {
  const { id, name } = part;
  const text = toStableText(toArgumentsObject(part));
  return { id, type: 'function', function: { name, arguments: text } };
}

/** This format has no error flag, so the text says it. */
function toResult({ id, text, isError }: SendableResult): WireMessage {
  return { role: 'tool', tool_call_id: id, content: isError ? `Error: ${text}` : text };
}
