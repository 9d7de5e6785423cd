// The wire format of OpenAI's `POST /v1/chat/completions`, seen from the server; no sockets and no
// script.
import { z } from 'zod';
import type { ModelUsage, NeutralMessage, NeutralPart, NeutralRequest } from './model-script.ts';
import type { StatusFault, StopReason } from './model-script.ts';
import { BadModelRequest, findPairingFault, parseWith, toPieces } from './model-wire.ts';
import type { FullReply, ModelWire, SseEvent } from './model-wire.ts';
import { refuseHalfPairs } from './model-rules.ts';
import { checkTools, checkTurns } from './openai-rules.ts';
import type { Json } from './receipts-log.ts';

export const openaiWire: ModelWire = {
  provider: 'openai',
  path: '/v1/chat/completions',
  idPrefixes: { message: 'chatcmpl-', toolCall: 'call_', request: 'req_' },
  credential: (headers) => headers.authorization?.replace(/^Bearer /, ''),
  parse,
  promptSegments: ({ tools, messages }) =>
    [tools ?? [], ...(messages as unknown[])].map((part) => JSON.stringify(part)),
  error: (fault) => ({
    error: {
      message: fault.message ?? errorMessages[fault.code ?? fault.status] ?? 'Error',
      ...{ type: errorType(fault), param: fault.param ?? null },
      code: fault.code ?? errorCodes[fault.status] ?? null,
    },
  }),
  authenticationMessage: (credential) =>
    credential === undefined
      ? "You didn't provide an API key."
      : `Incorrect API key provided: ${credential.slice(0, 5)}***.`,
  headers,
  complete: (reply) => ({
    ...envelope(reply, 'chat.completion'),
    choices: [
      {
        index: 0,
        message: toMessage(reply),
        logprobs: null,
        finish_reason: finishReasons[reply.stopReason],
      },
    ],
    usage: toUsage(reply.usage),
  }),
  stream,
  streamError: () => ({
    data: {
      error: { message: 'The server had an error.', type: 'server_error', param: null, code: null },
    },
  }),
};

const errorMessages: Record<string, string> = {
  429: 'Rate limit reached for requests. Please try again later.',
  500: 'The server had an error while processing your request.',
  503: 'The engine is currently overloaded, please try again later.',
  529: 'Overloaded',
  insufficient_quota:
    'You exceeded your current quota, please check your plan and billing details.',
};
const errorCodes: Record<number, string> = { 401: 'invalid_api_key', 429: 'rate_limit_exceeded' };
const finishReasons: Record<StopReason, string> = {
  end: 'stop',
  toolCalls: 'tool_calls',
  maxTokens: 'length',
  refusal: 'content_filter',
};

function errorType({ status, code }: StatusFault): string {
  if (code === 'insufficient_quota') return 'insufficient_quota';
  if (status === 429) return 'requests';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

const contentSchema = z
  .union([z.string(), z.array(z.looseObject({ type: z.string() })), z.null()])
  .optional();
const callSchema = z.looseObject({
  id: z.string(),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});
const messageSchema = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: contentSchema,
  tool_calls: z.array(callSchema).optional(),
  tool_call_id: z.string().optional(),
});
const functionSchema = z.looseObject({
  name: z.string(),
  description: z.string().optional(),
  parameters: z.unknown(),
});
const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(messageSchema).min(1),
  tools: z
    .array(z.looseObject({ type: z.string(), function: functionSchema.optional() }))
    .optional(),
  stream: z.boolean().optional(),
});
type WireMessage = z.infer<typeof messageSchema>;

function parse(raw: Record<string, unknown>): NeutralRequest {
  refuseHalfPairs(raw);
  const body = parseWith(bodySchema, raw);
  checkTurns(body.messages);
  checkTools((body.tools ?? []).flatMap(({ function: offered }) => (offered ? [offered] : [])));
  const isSystem = ({ role }: WireMessage): boolean => role === 'system' || role === 'developer';
  const messages = toMessages(body.messages.filter((message) => !isSystem(message)));
  checkPairing(messages);
  return {
    provider: 'openai',
    model: body.model,
    system: body.messages
      .filter(isSystem)
      .map((m) => textOf(m.content))
      .join('\n\n'),
    messages,
    tools: (body.tools ?? []).flatMap(({ function: f }) =>
      f ? [{ name: f.name, description: f.description ?? '', inputSchema: f.parameters }] : [],
    ),
    stream: body.stream ?? false,
    raw,
  };
}

// Tool results that follow each other are one neutral message, as they are at Anthropic.
function toMessages(wireMessages: WireMessage[]): NeutralMessage[] {
  const messages: NeutralMessage[] = [];
  wireMessages.forEach((message, index) => {
    const goesOn = message.role === 'tool' && wireMessages[index - 1]?.role === 'tool';
    if (goesOn) messages.at(-1)?.parts.push(...toParts(message));
    else
      messages.push({
        role: message.role === 'assistant' ? 'assistant' : 'user',
        parts: toParts(message),
      });
  });
  return messages;
}

function toParts({
  role,
  content,
  tool_call_id: toolCallId,
  tool_calls: calls,
}: WireMessage): NeutralPart[] {
  const text = textOf(content);
  if (role === 'tool')
    return [{ kind: 'toolResult', toolCallId: toolCallId ?? '', text, isError: false }];
  const texts: NeutralPart[] = text === '' ? [] : [{ kind: 'text', text }];
  const toolCalls = (calls ?? []).map((call): NeutralPart => {
    const { name, arguments: json } = call.function;
    return { kind: 'toolCall', id: call.id, name, arguments: parseArguments(json) };
  });
  return [...texts, ...toolCalls];
}

function parseArguments(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

function textOf(content: WireMessage['content']): string {
  if (typeof content === 'string') return content;
  return (content ?? [])
    .flatMap((part) => (part.type === 'text' ? [String(part.text)] : []))
    .join('\n');
}

function checkPairing(messages: NeutralMessage[]): void {
  const fault = findPairingFault(messages);
  if (fault?.kind === 'missing') {
    throw new BadModelRequest(
      "An assistant message with 'tool_calls' must be followed by tool messages responding to each " +
        `'tool_call_id'. The following tool_call_ids did not have response messages: ${fault.ids.join(', ')}`,
    );
  }
  if (fault) {
    throw new BadModelRequest(
      `Messages with role 'tool' must be a response to a preceding message with 'tool_calls': ${fault.id}.`,
    );
  }
}

function headers(requestId: string, fault?: StatusFault): Record<string, string> {
  const isLimited = fault?.status === 429;
  const waitMs = fault?.retryAfterMs ?? (fault?.retryAfterSeconds ?? 0) * 1_000;
  const limits = { requests: 10_000, tokens: 2_000_000 };
  const entries = Object.entries(limits).flatMap(([name, limit]) => [
    [`x-ratelimit-limit-${name}`, String(limit)],
    [`x-ratelimit-remaining-${name}`, isLimited ? '0' : String(limit - 1)],
    [`x-ratelimit-reset-${name}`, `${waitMs}ms`],
  ]);
  return { 'x-request-id': requestId, ...(Object.fromEntries(entries) as Record<string, string>) };
}

function envelope({ id, model }: FullReply, object: string): { [key: string]: Json } {
  const created = Math.floor(Date.now() / 1_000);
  return { id, object, created, model, service_tier: 'default', system_fingerprint: 'fp_fake' };
}

function toMessage({ text, toolCalls }: FullReply): { [key: string]: Json } {
  const calls = toolCalls.map(({ id, name, argumentsText }) => ({
    id,
    type: 'function',
    function: { name, arguments: argumentsText },
  }));
  const message = { role: 'assistant', content: text === '' && calls.length > 0 ? null : text };
  return { ...message, refusal: null, ...(calls.length > 0 && { tool_calls: calls }) };
}

function toUsage(usage: ModelUsage): { [key: string]: Json } {
  const promptTokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: promptTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cacheReadTokens, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

function stream(reply: FullReply, request: NeutralRequest): SseEvent[] {
  const options = request.raw.stream_options as { include_usage?: boolean } | undefined;
  const withUsage = options?.include_usage === true;
  const chunk = (delta: Json, finishReason: Json = null): SseEvent => ({
    data: {
      ...envelope(reply, 'chat.completion.chunk'),
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
      ...(withUsage && { usage: null }),
    },
  });
  const last = {
    ...envelope(reply, 'chat.completion.chunk'),
    choices: [],
    usage: toUsage(reply.usage),
  };
  const content = reply.toolCalls.length > 0 && reply.text === '' ? null : '';
  return [
    chunk({ role: 'assistant', content, refusal: null }),
    ...toPieces(reply.text).map((piece) => chunk({ content: piece })),
    ...reply.toolCalls.flatMap((call, index) =>
      callDeltas(call, index).map((delta) => chunk(delta)),
    ),
    chunk({}, finishReasons[reply.stopReason]),
    ...(withUsage ? [{ data: last }] : []),
    { data: '[DONE]' },
  ];
}

function callDeltas(
  { id, name, argumentsText }: FullReply['toolCalls'][number],
  index: number,
): Json[] {
  const start = { index, id, type: 'function', function: { name, arguments: '' } };
  const pieces = toPieces(argumentsText).map((piece) => ({
    index,
    function: { arguments: piece },
  }));
  return [start, ...pieces].map((call) => ({ tool_calls: [call] }));
}
