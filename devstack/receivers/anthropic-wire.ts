// The wire format of Anthropic's `POST /v1/messages`, seen from the server; no sockets and no
// script.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Block, checkText, checkTools, checkTurns, type Turn } from './anthropic-rules.ts';
import type { ModelUsage, NeutralMessage, NeutralPart, NeutralRequest } from './model-script.ts';
import type { StatusFault, StopReason } from './model-script.ts';
import { BadModelRequest, findPairingFault, parseWith, toPieces } from './model-wire.ts';
import type { FullReply, ModelWire, SseEvent } from './model-wire.ts';
import { refuseHalfPairs } from './model-rules.ts';
import type { Json } from './receipts-log.ts';

export const anthropicWire: ModelWire = {
  provider: 'anthropic',
  path: '/v1/messages',
  idPrefixes: { message: 'msg_', toolCall: 'toolu_', request: 'req_' },
  credential: (headers) => headers['x-api-key'] ?? headers.authorization?.replace(/^Bearer /, ''),
  parse,
  promptSegments: ({ tools, system, messages }) =>
    [tools ?? [], system ?? '', ...(messages as unknown[])].map((part) => JSON.stringify(part)),
  error: ({ status, message }, requestId) => ({
    type: 'error',
    error: {
      type: errorTypes[status] ?? 'api_error',
      message: message ?? errorMessages[status] ?? 'Error',
    },
    request_id: requestId,
  }),
  authenticationMessage: (credential) =>
    credential === undefined ? 'x-api-key header is required' : 'invalid x-api-key',
  headers,
  complete: (reply) => ({
    ...envelope(reply),
    content: blocks(reply) as unknown as Json,
    stop_reason: stopReasons[reply.stopReason],
    usage: toUsage(reply.usage, reply.usage.outputTokens),
  }),
  stream,
  streamError: () => ({
    event: 'error',
    data: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
  }),
};

const errorTypes: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};
const errorMessages: Record<number, string> = {
  429: "This request would exceed your organization's rate limit.",
  500: 'Internal server error',
  529: 'Overloaded',
};
const stopReasons: Record<StopReason, string> = {
  end: 'end_turn',
  toolCalls: 'tool_use',
  maxTokens: 'max_tokens',
  refusal: 'refusal',
};

const blockSchema = z.looseObject({ type: z.string() });
const contentSchema = z.union([z.string(), z.array(blockSchema)]);
const bodySchema = z.looseObject({
  model: z.string(),
  max_tokens: z.number().int().positive(),
  system: contentSchema.optional(),
  messages: z
    .array(z.looseObject({ role: z.enum(['user', 'assistant', 'system']), content: contentSchema }))
    .min(1),
  tools: z
    .array(
      z.looseObject({
        name: z.string(),
        description: z.string().optional(),
        input_schema: z.unknown(),
      }),
    )
    .optional(),
  stream: z.boolean().optional(),
});

function parse(raw: Record<string, unknown>, headers: Record<string, string>): NeutralRequest {
  if (!headers['anthropic-version'])
    throw new BadModelRequest('anthropic-version: header is required');
  refuseHalfPairs(raw);
  const body = parseWith(bodySchema, raw);
  checkTools(body.tools ?? []);
  for (const { type, text } of toBlocks(body.system ?? []))
    if (type === 'text') checkText(text, 'system');
  const said = body.messages.filter(({ role }) => role !== 'system');
  const systems = [
    body.system ?? '',
    ...body.messages.flatMap((m) => (m.role === 'system' ? [m.content] : [])),
  ];
  const turns = said.map(({ role, content }): Turn => ({
    role: role === 'assistant' ? 'assistant' : 'user',
    blocks: toBlocks(content),
  }));
  checkTurns(turns);
  const messages = turns.map(({ role, blocks }): NeutralMessage => ({
    role,
    parts: blocks.map(toPart),
  }));
  checkPairing(messages);
  return {
    provider: 'anthropic',
    model: body.model,
    system: systems.map(textOf).filter(Boolean).join('\n\n'),
    messages,
    tools: (body.tools ?? []).map(({ name, description, input_schema: inputSchema }) => ({
      name,
      description: description ?? '',
      inputSchema,
    })),
    stream: body.stream ?? false,
    raw,
  };
}

function toBlocks(content: unknown): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return Array.isArray(content) ? (content as Block[]) : [];
}

function textOf(content: unknown): string {
  const texts = toBlocks(content).flatMap((block) =>
    block.type === 'text' ? [String(block.text)] : [],
  );
  return texts.join('\n');
}

function toPart(block: Block): NeutralPart {
  switch (block.type) {
    case 'text':
      return { kind: 'text', text: String(block.text) };
    case 'tool_use':
      return {
        kind: 'toolCall',
        id: String(block.id),
        name: String(block.name),
        arguments: block.input,
      };
    case 'tool_result': {
      const [toolCallId, isError] = [String(block.tool_use_id), block.is_error === true];
      return { kind: 'toolResult', toolCallId, text: textOf(block.content), isError };
    }
    case 'thinking':
      if (block.signature === signatureOf(String(block.thinking)))
        return { kind: 'other', type: 'thinking' };
      throw new BadModelRequest('messages: Invalid `signature` in `thinking` block');
    default:
      return { kind: 'other', type: block.type };
  }
}

function checkPairing(messages: NeutralMessage[]): void {
  const fault = findPairingFault(messages);
  if (fault?.kind === 'missing') {
    throw new BadModelRequest(
      'messages: `tool_use` ids were found without `tool_result` blocks immediately after: ' +
        `${fault.ids.join(', ')}.`,
    );
  }
  if (fault) {
    throw new BadModelRequest(
      `messages: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${fault.id}.`,
    );
  }
}

// Stateless, so that a conversation can go on at a provider that was started anew.
function signatureOf(thinking: string): string {
  return createHash('sha256').update(`signed\n${thinking}`).digest('base64');
}

function headers(requestId: string, fault?: StatusFault): Record<string, string> {
  const isLimited = fault?.status === 429;
  const waitMs = fault?.retryAfterMs ?? (fault?.retryAfterSeconds ?? 0) * 1_000;
  const reset = new Date(Date.now() + waitMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const limits = { requests: 1_000, 'input-tokens': 400_000, 'output-tokens': 80_000 };
  const entries = Object.entries(limits).flatMap(([name, limit]) => [
    [`anthropic-ratelimit-${name}-limit`, String(limit)],
    [`anthropic-ratelimit-${name}-remaining`, isLimited ? '0' : String(limit - 1)],
    [`anthropic-ratelimit-${name}-reset`, reset],
  ]);
  return { 'request-id': requestId, ...(Object.fromEntries(entries) as Record<string, string>) };
}

function envelope({ id, model }: FullReply): { [key: string]: Json } {
  return {
    ...{ id, type: 'message', role: 'assistant', model, content: [] },
    ...{ stop_reason: null, stop_sequence: null },
  };
}

type ReplyBlock =
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'text'; text: string }
  | { type: 'tool_use'; id: string; name: string; input: unknown };

function blocks({ thinking, text, toolCalls }: FullReply): ReplyBlock[] {
  const said: ReplyBlock[] = [];
  if (thinking) said.push({ type: 'thinking', thinking, signature: signatureOf(thinking) });
  if (text) said.push({ type: 'text', text });
  const calls = toolCalls.map(({ id, name, arguments: input }) => ({
    type: 'tool_use' as const,
    id,
    name,
    input,
  }));
  return [...said, ...calls];
}

function toUsage(usage: ModelUsage, outputTokens: number): { [key: string]: Json } {
  return {
    input_tokens: usage.inputTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    output_tokens: outputTokens,
    service_tier: 'standard',
  };
}

function stream(reply: FullReply): SseEvent[] {
  const { service_tier: _, ...total } = toUsage(reply.usage, reply.usage.outputTokens);
  const events: Array<{ type: string; [key: string]: Json }> = [
    { type: 'message_start', message: { ...envelope(reply), usage: toUsage(reply.usage, 1) } },
    { type: 'ping' },
    ...blocks(reply).flatMap((block, index) => blockEvents(block, index)),
    {
      type: 'message_delta',
      delta: { stop_reason: stopReasons[reply.stopReason], stop_sequence: null },
      usage: total,
    },
    { type: 'message_stop' },
  ];
  return events.map((data) => ({ event: data.type, data }));
}

function blockEvents(
  block: ReplyBlock,
  index: number,
): Array<{ type: string; [key: string]: Json }> {
  const [empty, deltas] = toDeltas(block);
  return [
    { type: 'content_block_start', index, content_block: empty },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
}

function toDeltas(block: ReplyBlock): [empty: Json, deltas: Json[]] {
  switch (block.type) {
    case 'text': {
      const deltas = toPieces(block.text).map((text) => ({ type: 'text_delta', text }));
      return [{ type: 'text', text: '' }, deltas];
    }
    case 'thinking': {
      const deltas = toPieces(block.thinking).map((thinking) => ({
        type: 'thinking_delta',
        thinking,
      }));
      const signature = { type: 'signature_delta', signature: block.signature };
      return [{ type: 'thinking', thinking: '', signature: '' }, [...deltas, signature]];
    }
    case 'tool_use': {
      const { id, name, input } = block;
      const json = typeof input === 'string' ? input : JSON.stringify(input);
      const deltas = ['', ...toPieces(json)].map((piece) => ({
        type: 'input_json_delta',
        partial_json: piece,
      }));
      return [{ type: 'tool_use', id, name, input: {} }, deltas];
    }
  }
}
