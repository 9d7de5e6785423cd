// A small HTTP server on 127.0.0.1 that the fake receivers share: sockets, bodies and broken
// answers; no business and no log.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from './receipts-log.ts';

/** A request whose body has been read. */
export interface ArrivedRequest {
  atMs: number;
  method: string;
  /** Path and query, as sent. */
  path: string;
  url: URL;
  /** Lower-case names; credentials included, so log them through `toLoggedHeaders` only. */
  headers: Record<string, string>;
  body: string;
  bodySha256: string;
  complete: boolean;
}

/** What becomes of the answer on its way back. */
export type Delivery =
  | { kind: 'answer'; answer: Answer }
  | { kind: 'hang' }
  | { kind: 'reset' }
  | { kind: 'cut'; answer: Answer };

export interface ListenOptions {
  /** Who listens: used in error messages. */
  name: string;
  /** 0 (the default) takes a free port. */
  port?: number;
  handle(exchange: Exchange): Promise<void>;
}

/** Waits `ms`, or rejects with an AbortError as soon as the server closes. */
export type Delay = (ms: number) => Promise<void>;

/** One request and the way to answer it. */
export interface Exchange {
  request: ArrivedRequest;
  response: ServerResponse;
  delay: Delay;
}

export interface Listening {
  /** `http://127.0.0.1:<port>` */
  url: string;
  delay: Delay;
  /** Drops every connection, hanging ones too, and stops. */
  close(): Promise<void>;
}

export async function listen(options: ListenOptions): Promise<Listening> {
  const closing = new AbortController();
  const delay: Delay = async (ms) => void (await sleep(ms, undefined, { signal: closing.signal }));
  const server = createServer((message, response) => {
    readRequest(message)
      .then((request) => options.handle({ request, response, delay }))
      .catch((error: unknown) => {
        if (!closing.signal.aborted) failAnswer(response, error);
      });
  });
  // A keep-alive connection that the server closes first looks like a lost answer: only modes may
  // cause those.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  await startListening(server, options);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    delay,
    async close() {
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function startListening(server: Server, { name, port = 0 }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE' ? 'the port is in use; give another one, or 0' : error.message;
      reject(
        new Error(`The ${name} cannot listen on 127.0.0.1:${port}: ${why}.`, { cause: error }),
      );
    });
    server.listen(port, '127.0.0.1', () => resolve());
  });
}

async function readRequest(message: IncomingMessage): Promise<ArrivedRequest> {
  const atMs = Date.now();
  const { bytes, complete } = await readBody(message);
  const path = message.url ?? '/';
  return {
    atMs,
    method: message.method ?? 'GET',
    path,
    url: new URL(path, 'http://receiver'),
    headers: joinHeaders(message.headers),
    body: bytes.toString('utf8'),
    bodySha256: sha256(bytes),
    complete,
  };
}

async function readBody(message: IncomingMessage): Promise<{ bytes: Buffer; complete: boolean }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of message) chunks.push(chunk as Buffer);
  } catch {
    return { bytes: Buffer.concat(chunks), complete: false };
  }
  return { bytes: Buffer.concat(chunks), complete: message.complete };
}

const credentialHeaders = new Set(['authorization', 'x-api-key', 'cookie', 'proxy-authorization']);

function joinHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const joined = Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]);
  return Object.fromEntries(joined) as Record<string, string>;
}

/**
 * Credentials become a short hash: logs outlive tests, and a hash still tells two of them apart.
 */
export function toLoggedHeaders(headers: Record<string, string>): Record<string, string> {
  const logged = Object.entries(headers).map(([name, text]) =>
    credentialHeaders.has(name) ? [name, `redacted:${sha256(text).slice(0, 8)}`] : [name, text],
  );
  return Object.fromEntries(logged) as Record<string, string>;
}

export function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function failAnswer(response: ServerResponse, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (response.headersSent) response.destroy();
  else sendJson(response, { status: 500, body: { error: { code: 'receiver_broken', message } } });
}

export function sendJson(response: ServerResponse, answer: Answer): void {
  const bytes = Buffer.from(JSON.stringify(answer.body), 'utf8');
  response.writeHead(answer.status, jsonHeaders(answer, bytes)).end(bytes);
}

function jsonHeaders(answer: Answer, bytes: Buffer): Record<string, string | number> {
  const fixed = { 'content-type': 'application/json', 'content-length': bytes.length };
  return { ...fixed, ...answer.headers };
}

/** Gives the answer, or breaks it on its way as the delivery says. */
export function deliver(response: ServerResponse, delivery: Delivery): void {
  switch (delivery.kind) {
    case 'answer':
      return sendJson(response, delivery.answer);
    case 'hang':
      return;
    case 'reset':
      return resetConnection(response);
    case 'cut':
      return cutJson(response, delivery.answer);
  }
}

/** Ends the connection with a TCP RST, without a byte of answer. */
export function resetConnection(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

/**
 * Sends the headers and half of the body; then closes the connection, or leaves it open for ever.
 */
export function cutJson(
  response: ServerResponse,
  answer: Answer,
  end: 'close' | 'stall' = 'close',
): void {
  const bytes = Buffer.from(JSON.stringify(answer.body), 'utf8');
  response.writeHead(answer.status, jsonHeaders(answer, bytes));
  response.write(bytes.subarray(0, bytes.length >> 1), () => {
    if (end === 'close') response.destroy();
  });
}
