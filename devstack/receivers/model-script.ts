// What a model script sees and answers, in neither provider's words, and helpers to write one; no
// wire format and no I/O.

/**
 * A conversation as both wire formats say it. Tool results are parts of a `user` message, as at
 * Anthropic.
 */
export interface NeutralRequest {
  provider: 'anthropic' | 'openai';
  model: string;
  /** All system (and developer) texts, joined by an empty line. */
  system: string;
  messages: NeutralMessage[];
  tools: NeutralTool[];
  stream: boolean;
  /** The parsed body, for what the neutral form leaves out. */
  raw: Record<string, unknown>;
}

export interface NeutralMessage {
  role: 'user' | 'assistant';
  parts: NeutralPart[];
}

export type NeutralPart =
  | { kind: 'text'; text: string }
  | { kind: 'toolCall'; id: string; name: string; arguments: unknown }
  | { kind: 'toolResult'; toolCallId: string; text: string; isError: boolean }
  | { kind: 'other'; type: string };

export interface NeutralTool {
  name: string;
  description: string;
  inputSchema: unknown;
}

export interface ModelUsage {
  /** Input tokens that no cache served. */
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
}

export type StopReason = 'end' | 'toolCalls' | 'maxTokens' | 'refusal';

export interface ModelReply {
  text?: string;
  /**
   * Anthropic only: a thinking block before the text. Its signature is checked when it comes back.
   */
  thinking?: string;
  toolCalls?: Array<{
    /** Default: a fresh id in the provider's style. */
    id?: string;
    name: string;
    /** An object; or a string, sent as it is, for arguments that do not parse. */
    arguments: unknown;
  }>;
  /** Default: a plausible count; parts given here win. */
  usage?: Partial<ModelUsage>;
  /** The model name in the answer. Default: the one that was asked for. */
  servedModel?: string;
  /** Default: `toolCalls` when there are some, else `end`. */
  stopReason?: StopReason;
  /** Waits before the first byte. */
  delayMs?: number;
  /** Streaming only: waits before each further event. */
  chunkDelayMs?: number;
  headers?: Record<string, string>;
}

export interface StatusFault {
  kind: 'status';
  status: number;
  retryAfterSeconds?: number;
  retryAfterMs?: number;
  /** OpenAI's `error.code`, for example `insufficient_quota`. */
  code?: string;
  /** OpenAI's `error.param`: the place in the request. */
  param?: string;
  message?: string;
  delayMs?: number;
  headers?: Record<string, string>;
}

/**
 * How an answer that has begun ends: the socket closes, nothing more comes, or an error event
 * (streaming only) comes.
 */
export type CutEnd = 'close' | 'stall' | 'error-event';

export type ModelFault =
  | StatusFault
  | { kind: 'hang' }
  | { kind: 'reset'; delayMs?: number }
  | { kind: 'cut'; reply: ModelReply; end: CutEnd };

export type ModelAnswer = ModelReply | ModelFault;

/**
 * Decides one answer. `requestIndex` counts from 0 the requests that were well formed and
 * authenticated.
 */
export type ModelScript = (
  request: NeutralRequest,
  requestIndex: number,
) => ModelAnswer | Promise<ModelAnswer>;

export function isFault(answer: ModelAnswer): answer is ModelFault {
  return 'kind' in answer;
}

/** An HTTP error in the provider's own body: 400, 401, 403, 404, 413, 429, 500, 503, 529, … */
export function failWith(
  status: number,
  options: Omit<StatusFault, 'kind' | 'status'> = {},
): ModelFault {
  return { kind: 'status', status, ...options };
}

/** The request is read and never answered. */
export function hang(): ModelFault {
  return { kind: 'hang' };
}

/** The connection is reset (TCP RST) without an answer. */
export function reset(options: { delayMs?: number } = {}): ModelFault {
  return { kind: 'reset', ...options };
}

/** About half of the answer is sent. Default end: `close`. */
export function cut(reply: ModelReply, end: CutEnd = 'close'): ModelFault {
  return { kind: 'cut', reply, end };
}

export interface ScriptedReplies {
  (request: NeutralRequest, requestIndex: number): ModelAnswer | Promise<ModelAnswer>;
  /** How many replies nobody has asked for yet. */
  remaining(): number;
  /** Throws unless every reply was used and no request came on top. */
  assertComplete(): void;
}

/** Replies in order of arrival; one request too many gets a 500 that says so. */
export function scriptedReplies(
  replies: ReadonlyArray<ModelAnswer | ModelScript>,
): ScriptedReplies {
  let used = 0;
  const extra: string[] = [];
  const script = (
    request: NeutralRequest,
    requestIndex: number,
  ): ModelAnswer | Promise<ModelAnswer> => {
    const reply = replies[used];
    if (reply === undefined) {
      const message =
        `The script has ${replies.length} replies and this is one request more.` +
        ` It ends with: ${describeEnd(request)}`;
      extra.push(message);
      return failWith(500, { message });
    }
    used += 1;
    return typeof reply === 'function' ? reply(request, requestIndex) : reply;
  };
  return Object.assign(script, {
    remaining: () => replies.length - used,
    assertComplete() {
      if (extra[0] !== undefined) throw new Error(extra[0]);
      if (used === replies.length) return;
      throw new Error(`The script has ${replies.length} replies and only ${used} were asked for.`);
    },
  });
}

function describeEnd({ messages }: NeutralRequest): string {
  const part = messages.at(-1)?.parts.at(-1);
  if (!part) return 'nothing';
  const text = JSON.stringify(part);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/**
 * The tool results of the whole conversation, with the name of the tool and the arguments they
 * answer, oldest first.
 */
export function toolResults(request: NeutralRequest): Array<{
  toolCallId: string;
  name: string;
  arguments: unknown;
  text: string;
  isError: boolean;
}> {
  const parts = request.messages.flatMap((message) => message.parts);
  const calls = new Map(
    parts.flatMap((part) => (part.kind === 'toolCall' ? [[part.id, part]] : [])),
  );
  return parts.flatMap((part) => {
    if (part.kind !== 'toolResult') return [];
    const { toolCallId, text, isError } = part;
    const call = calls.get(toolCallId);
    return [{ toolCallId, name: call?.name ?? '', arguments: call?.arguments, text, isError }];
  });
}

/** The text of the last message that a person (not a tool) wrote. */
export function lastUserText(request: NeutralRequest): string {
  const texts = request.messages
    .filter((message) => message.role === 'user')
    .map((message) =>
      message.parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n'),
    );
  return texts.findLast((text) => text !== '') ?? '';
}
