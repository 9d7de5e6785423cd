// What both provider wire formats have in common: the port that each implements, and the rules both
// providers check.
import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import type { ModelReply, ModelUsage, NeutralMessage, NeutralRequest } from './model-script.ts';
import type { StatusFault, StopReason } from './model-script.ts';
import type { Json } from './receipts-log.ts';

/** A reply with every default filled in. */
export interface FullReply {
  id: string;
  model: string;
  text: string;
  thinking: string | undefined;
  toolCalls: Array<{ id: string; name: string; arguments: unknown; argumentsText: string }>;
  usage: ModelUsage;
  stopReason: StopReason;
}

/** One server-sent event; `data` is sent as JSON unless it is a string. */
export interface SseEvent {
  event?: string;
  data: Json;
}

/** One provider's way to say things. */
export interface ModelWire {
  provider: NeutralRequest['provider'];
  path: string;
  idPrefixes: { message: string; toolCall: string; request: string };
  /** The credential of the request, or nothing when the header is missing. */
  credential(headers: Record<string, string>): string | undefined;
  /** Throws `BadModelRequest` with the provider's kind of message. */
  parse(body: Record<string, unknown>, headers: Record<string, string>): NeutralRequest;
  /** What the provider's prompt cache compares, in its order. */
  promptSegments(body: Record<string, unknown>): string[];
  error(fault: StatusFault, requestId: string): Json;
  authenticationMessage(credential: string | undefined): string;
  headers(requestId: string, fault?: StatusFault): Record<string, string>;
  complete(reply: FullReply): Json;
  stream(reply: FullReply, request: NeutralRequest): SseEvent[];
  /** An error inside a stream that has begun. */
  streamError(): SseEvent;
}

/** The provider answers 400 with this message; OpenAI says the place and a code, too. */
export class BadModelRequest extends Error {
  readonly param: string | null;
  readonly code: string | null;

  constructor(message: string, param: string | null = null, code: string | null = null) {
    super(message);
    this.param = param;
    this.code = code;
  }
}

export function parseWith<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new BadModelRequest(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
}

/** Fills in ids, usage and the stop reason. */
export function toFullReply(
  wire: ModelWire,
  request: NeutralRequest,
  reply: ModelReply,
  input: Pick<ModelUsage, 'inputTokens' | 'cacheReadTokens'>,
): FullReply {
  const toolCalls = (reply.toolCalls ?? []).map((call) => ({
    id: call.id ?? newWireId(wire.idPrefixes.toolCall),
    name: call.name,
    arguments: call.arguments,
    argumentsText:
      typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments),
  }));
  const text = reply.text ?? '';
  const said = [reply.thinking, text, ...toolCalls.flatMap((c) => [c.name, c.argumentsText])].join(
    '',
  );
  return {
    id: newWireId(wire.idPrefixes.message),
    model: reply.servedModel ?? request.model,
    text,
    thinking: wire.provider === 'anthropic' ? reply.thinking : undefined,
    toolCalls,
    usage: { ...input, cacheWriteTokens: 0, outputTokens: countTokens(said), ...reply.usage },
    stopReason: reply.stopReason ?? (toolCalls.length > 0 ? 'toolCalls' : 'end'),
  };
}

export function newWireId(prefix: string): string {
  return `${prefix}${randomBytes(12).toString('hex')}`;
}

/** A plausible count: a token for every four bytes, at least one. */
export function countTokens(text: string): number {
  return Math.max(1, Math.ceil(Buffer.byteLength(text, 'utf8') / 4));
}

/** Beyond it the pieces are large: a stream of megabytes would keep a test waiting for events. */
const LONG_TEXT = 100_000;

/** The text in pieces of a few characters, as a stream sends it; never inside a code point. */
export function toPieces(text: string): string[] {
  return text.match(text.length > LONG_TEXT ? /[^]{1,4096}/gu : /[^]{1,16}/gu) ?? [];
}

export type PairingFault = { kind: 'missing'; ids: string[] } | { kind: 'unexpected'; id: string };

/**
 * Both providers refuse a tool call without a result in the next message, and a result without its
 * call.
 */
export function findPairingFault(messages: NeutralMessage[]): PairingFault | undefined {
  for (const [index, message] of messages.entries()) {
    const called = callIds(messages[index - 1]);
    const answered = resultIds(message);
    const id = answered.find((answer) => !called.includes(answer));
    if (id !== undefined) return { kind: 'unexpected', id };
    const next = resultIds(messages[index + 1]);
    const ids = callIds(message).filter((call) => !next.includes(call));
    if (ids.length > 0) return { kind: 'missing', ids };
  }
  return undefined;
}

function callIds(message: NeutralMessage | undefined): string[] {
  return (message?.parts ?? []).flatMap((part) => (part.kind === 'toolCall' ? [part.id] : []));
}

function resultIds(message: NeutralMessage | undefined): string[] {
  return (message?.parts ?? []).flatMap((part) =>
    part.kind === 'toolResult' ? [part.toolCallId] : [],
  );
}
