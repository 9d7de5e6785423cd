// A fake model provider in the wire formats of Anthropic and OpenAI; what it says is decided by a
// script.
import type { ServerResponse } from 'node:http';
import { anthropicWire } from './anthropic-wire.ts';
import { cutJson, listen, resetConnection, sendJson, toLoggedHeaders } from './http-server.ts';
import type { ArrivedRequest, Exchange } from './http-server.ts';
import { failWith, isFault } from './model-script.ts';
import type { CutEnd, ModelAnswer, ModelReply, ModelScript } from './model-script.ts';
import type { NeutralRequest, StatusFault } from './model-script.ts';
import { createPromptCounter } from './model-usage.ts';
import type { PromptCounter } from './model-usage.ts';
import { BadModelRequest, newWireId, toFullReply } from './model-wire.ts';
import type { ModelWire, SseEvent } from './model-wire.ts';
import { openaiWire } from './openai-wire.ts';
import { openReceiptsLog } from './receipts-log.ts';
import type { Json, ReceiptsLog, RequestLine } from './receipts-log.ts';

export interface ModelProviderOptions {
  script: ModelScript;
  /** Logs every wire request there too (lines of kind `request`). */
  logFile?: string;
  /** 0 (the default) takes a free port. */
  port?: number;
  /** False keeps no request in memory, for long measurements: `requests()` stays empty. Default true. */
  remembers?: boolean;
}

/** A wire request and, when it is over, how it ended. */
export interface ModelRequest extends Omit<RequestLine, 'v' | 'kind' | 'receiver'> {
  /** What the script saw; absent when the request was refused before (401, 400, 404). */
  neutral?: NeutralRequest;
  /** Status of the answer that was begun; absent for a hang or a reset. */
  status?: number;
  /** When the last byte of a whole answer was handed over. */
  answeredAtMs?: number;
  /** When the client went away before the answer was whole. */
  abortedAtMs?: number;
}

export interface ModelProvider {
  /** For Anthropic's SDK the `baseURL`; OpenAI's takes `openaiBaseUrl`. */
  readonly url: string;
  readonly openaiBaseUrl: string;
  /** Every request on the wire since this start, in order of arrival. */
  requests(): ModelRequest[];
  close(): Promise<void>;
}

interface Provider {
  script: ModelScript;
  log: ReceiptsLog | undefined;
  requests: ModelRequest[];
  remembers: boolean;
  scripted: number;
  prompts: PromptCounter;
}

const wires = [anthropicWire, openaiWire];

/**
 * Starts a provider on 127.0.0.1: `POST /v1/messages` and `POST /v1/chat/completions`, streaming
 * or not.
 * An API key that is missing or begins with `wrong` gets the provider's 401. What a real provider
 * refuses with 400
 * (a tool call without its result, a changed thinking signature, no `max_tokens`) is refused here
 * too.
 * For another process: `GET /_admin/requests`.
 */
export async function startModelProvider(options: ModelProviderOptions): Promise<ModelProvider> {
  const { script, logFile, remembers = true } = options;
  const log = logFile === undefined ? undefined : openReceiptsLog(logFile, 'provider');
  const provider: Provider = {
    script,
    log,
    requests: [],
    remembers,
    scripted: 0,
    prompts: createPromptCounter(),
  };
  try {
    const handle = (exchange: Exchange): Promise<void> => handleExchange(provider, exchange);
    const server = await listen({ name: 'provider', port: options.port ?? 0, handle });
    return {
      url: server.url,
      openaiBaseUrl: `${server.url}/v1`,
      requests: () => [...provider.requests],
      async close() {
        await server.close();
        await log?.close();
      },
    };
  } catch (error) {
    await log?.close();
    throw error;
  }
}

async function handleExchange(provider: Provider, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  if (`${request.method} ${request.url.pathname}` === 'GET /_admin/requests') {
    return sendJson(response, { status: 200, body: provider.requests as unknown as Json });
  }
  const logged = await logRequest(provider, request);
  if (!request.complete) {
    logged.abortedAtMs = Date.now();
    return;
  }
  const markBroken = watchEnd(logged, response);
  const wire = wires.find(({ path }) => path === request.url.pathname && request.method === 'POST');
  if (!wire) {
    const message = `No model API at ${request.method} ${request.url.pathname}.`;
    return sendJson(response, {
      status: 404,
      body: { error: { type: 'not_found_error', message } },
    });
  }
  const requestId = newWireId(wire.idPrefixes.request);
  const conversation: Conversation = { wire, requestId, exchange, markBroken };
  const admitted = admit(wire, request);
  if ('fault' in admitted) return sendStatus(conversation, admitted.fault);
  logged.neutral = admitted.neutral;
  await sayAnswer(provider, conversation, admitted.neutral);
}

/** One request on its way to its answer. */
interface Conversation {
  wire: ModelWire;
  requestId: string;
  exchange: Exchange;
  /** Tells the wire log that the provider, not the client, breaks the connection. */
  markBroken(): void;
}

async function logRequest(provider: Provider, request: ArrivedRequest): Promise<ModelRequest> {
  const { atMs, method, path, body, bodySha256, complete } = request;
  const idempotencyKey = request.headers['idempotency-key'];
  const fields = {
    seq: provider.requests.length + 1 + (provider.log?.restored.length ?? 0),
    ...{ atMs, method, path, headers: toLoggedHeaders(request.headers) },
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...{ body, bodySha256, complete },
  };
  const logged: ModelRequest = { ...fields };
  if (provider.remembers) provider.requests.push(logged);
  provider.log?.append<RequestLine>({ kind: 'request', ...fields });
  await provider.log?.synced();
  return logged;
}

function watchEnd(logged: ModelRequest, response: ServerResponse): () => void {
  let isBrokenByUs = false;
  response.on('finish', () => (logged.answeredAtMs = Date.now()));
  response.on('close', () => {
    if (response.headersSent) logged.status = response.statusCode;
    if (logged.answeredAtMs === undefined && !isBrokenByUs) logged.abortedAtMs = Date.now();
  });
  return () => (isBrokenByUs = true);
}

type Admitted = { neutral: NeutralRequest } | { fault: StatusFault };

function admit(wire: ModelWire, request: ArrivedRequest): Admitted {
  const credential = wire.credential(request.headers);
  if (credential === undefined || credential.startsWith('wrong')) {
    return {
      fault: { kind: 'status', status: 401, message: wire.authenticationMessage(credential) },
    };
  }
  try {
    return { neutral: wire.parse(toObject(request.body), request.headers) };
  } catch (error) {
    if (!(error instanceof BadModelRequest)) throw error;
    const { message, param, code } = error;
    const details = { ...(param && { param }), ...(code && { code }) };
    return { fault: { kind: 'status', status: 400, message, ...details } };
  }
}

function toObject(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below, for both cases.
  }
  throw new BadModelRequest('The request body is not valid JSON');
}

async function sayAnswer(
  provider: Provider,
  conversation: Conversation,
  neutral: NeutralRequest,
): Promise<void> {
  const { response, delay } = conversation.exchange;
  const answer = await askScript(provider, neutral);
  if (!isFault(answer)) return sayReply(provider, conversation, neutral, answer);
  switch (answer.kind) {
    case 'hang':
      return;
    case 'reset':
      await delay(answer.delayMs ?? 0);
      conversation.markBroken();
      return resetConnection(response);
    case 'status':
      return sendStatus(conversation, answer);
    case 'cut':
      return sayReply(provider, conversation, neutral, answer.reply, answer.end);
  }
}

async function askScript(provider: Provider, neutral: NeutralRequest): Promise<ModelAnswer> {
  try {
    return await provider.script(neutral, provider.scripted++);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return failWith(500, { message: `The script failed: ${why}` });
  }
}

async function sendStatus(
  { wire, requestId, exchange }: Conversation,
  fault: StatusFault,
): Promise<void> {
  await exchange.delay(fault.delayMs ?? 0);
  const { retryAfterMs, retryAfterSeconds = retryAfterMs && Math.ceil(retryAfterMs / 1_000) } =
    fault;
  sendJson(exchange.response, {
    status: fault.status,
    body: wire.error(fault, requestId),
    headers: {
      ...wire.headers(requestId, fault),
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
      ...(retryAfterMs !== undefined && { 'retry-after-ms': String(retryAfterMs) }),
      ...fault.headers,
    },
  });
}

async function sayReply(
  provider: Provider,
  conversation: Conversation,
  neutral: NeutralRequest,
  reply: ModelReply,
  end?: CutEnd,
): Promise<void> {
  const { wire, requestId, exchange } = conversation;
  const scope = `${neutral.provider} ${neutral.model}`;
  const input = provider.prompts.count(scope, wire.promptSegments(neutral.raw));
  const full = toFullReply(wire, neutral, reply, input);
  const headers = { ...wire.headers(requestId), ...reply.headers };
  await exchange.delay(reply.delayMs ?? 0);
  if (end !== undefined && end !== 'stall') conversation.markBroken();
  if (neutral.stream) {
    const events = wire.stream(full, neutral);
    return streamEvents(conversation, events, { headers, end, chunkDelayMs: reply.chunkDelayMs });
  }
  const answer = { status: 200, body: wire.complete(full), headers };
  if (end === undefined) return sendJson(exchange.response, answer);
  cutJson(exchange.response, answer, end === 'stall' ? 'stall' : 'close');
}

interface StreamOptions {
  headers: Record<string, string>;
  end: CutEnd | undefined;
  chunkDelayMs: number | undefined;
}

async function streamEvents(
  { wire, exchange: { response, delay } }: Conversation,
  events: SseEvent[],
  { headers, end, chunkDelayMs = 0 }: StreamOptions,
): Promise<void> {
  const fixed = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };
  response.writeHead(200, { ...fixed, ...headers });
  const sentCount = end === undefined ? events.length : Math.ceil(events.length / 2);
  for (const event of events.slice(0, sentCount)) {
    if (chunkDelayMs > 0) await delay(chunkDelayMs);
    if (response.destroyed) return;
    response.write(toSse(event));
  }
  if (end === undefined) response.end();
  if (end === 'error-event') response.end(toSse(wire.streamError()));
  if (end === 'close') response.write(halfOf(events[sentCount]), () => response.destroy());
}

function toSse({ event, data }: SseEvent): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`;
}

function halfOf(event: SseEvent | undefined): string {
  const text = event === undefined ? ':' : toSse(event);
  return text.slice(0, text.length >> 1) || ':';
}
