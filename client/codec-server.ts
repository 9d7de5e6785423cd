// The codec server of Temporal's UI: decrypts payloads for people who have its token, in browsers of allowed origins only.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { createPayloadCodec, type KeyProvider } from '../activities/encryption/encryption.ts';
import { ArgumentInvalidError } from './errors.ts';

export interface CodecServerOptions {
  readonly keys: KeyProvider;
  /** At least 32 characters: whoever has it can read every history. */
  readonly token: string;
  /** Origins of Temporal's UI, as in `http://127.0.0.1:8233`. */
  readonly origins: readonly string[];
  /** @default 8081 */
  readonly port?: number;
  /** Anything but loopback belongs behind TLS. @default '127.0.0.1' */
  readonly host?: string;
  /** Called per request, for an access log: never with a payload. */
  readonly onRequest?: (line: CodecAccess) => void;
}

export interface CodecAccess {
  readonly at: Date;
  readonly from: string;
  readonly origin: string | null;
  readonly path: string;
  readonly status: number;
  readonly payloads: number;
}

export interface CodecServer {
  readonly url: string;
  close(): Promise<void>;
}

const TOKEN_CHARS_MIN = 32;
const BODY_BYTES_MAX = 16 * 1_024 * 1_024;
/** A body that comes drop by drop is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
const COOKIE = 'pawl_codec';

/** Listens when it resolves. Throws ArgumentInvalidError without a real token or an origin. */
export async function startCodecServer(options: CodecServerOptions): Promise<CodecServer> {
  const { token, origins, port = 8_081, host = '127.0.0.1' } = options;
  if (token.length < TOKEN_CHARS_MIN) {
    throw new ArgumentInvalidError(
      `The codec server decrypts histories: it needs a token of at least ${TOKEN_CHARS_MIN} characters ` +
        '(PAWL_CODEC_TOKEN; `openssl rand -hex 32` makes one).',
    );
  }
  if (origins.length === 0) throw new ArgumentInvalidError('Say the origin of Temporal’s UI.');
  origins.forEach(checkOrigin);
  const codec = createPayloadCodec(options.keys, '');
  const server = createServer((request, response) => {
    // Whatever one request does, the next one is served.
    handle({ ...options, codec }, request, response).catch(() => response.destroy());
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    server
      .once('error', (error) => reject(cannotListen(host, port, error)))
      .listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function cannotListen(host: string, port: number, { message }: Error): ArgumentInvalidError {
  return new ArgumentInvalidError(
    `The codec server cannot listen on ${host}, port ${port}: ${message}. Choose another --host or --port.`,
  );
}

function checkOrigin(origin: string): void {
  const parsed = URL.canParse(origin) ? new URL(origin) : undefined;
  if (parsed?.origin === origin && /^https?:$/.test(parsed.protocol)) return;
  throw new ArgumentInvalidError(
    `"${origin}" is no origin: write scheme, host and port, as in http://127.0.0.1:8233.`,
  );
}

type Serving = CodecServerOptions & { readonly codec: ReturnType<typeof createPayloadCodec> };

interface Reply {
  readonly status: number;
  readonly body?: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payloads?: number;
}

async function handle(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { origin } = request.headers;
  const isAllowed = origin !== undefined && serving.origins.includes(origin);
  const reply = await answer(serving, request, isAllowed).catch((error: unknown): Reply => {
    const message = error instanceof Error ? error.message : String(error);
    const status = error instanceof TooLarge ? 413 : 400;
    return { status, body: JSON.stringify({ message }), headers: { connection: 'close' } };
  });
  serving.onRequest?.({
    at: new Date(),
    from: request.socket.remoteAddress ?? 'unknown',
    origin: origin ?? null,
    path: pathOf(request),
    status: reply.status,
    payloads: reply.payloads ?? 0,
  });
  response.writeHead(reply.status, {
    'content-type': reply.type ?? 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    vary: 'Origin',
    ...(isAllowed ? corsFor(origin) : {}),
    ...reply.headers,
  });
  response.end(reply.body ?? '');
}

/** As it was written: a target need not be an address (`//`, `*`), and this server knows two paths. */
function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

function corsFor(origin: string): Record<string, string> {
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'POST, OPTIONS',
    'access-control-allow-headers': 'authorization, content-type, x-namespace',
    'access-control-max-age': '600',
    // Chrome asks this before a page of one address space reaches into another.
    'access-control-allow-private-network': 'true',
  };
}

async function answer(
  serving: Serving,
  request: IncomingMessage,
  isAllowedOrigin: boolean,
): Promise<Reply> {
  const pathname = pathOf(request);
  const { method } = request;
  if (method === 'OPTIONS') return { status: isAllowedOrigin ? 204 : 403 };
  if (pathname === '/' && method === 'GET') return { status: 200, type: 'text/html', body: FORM };
  if (pathname === '/' && method === 'POST') return logIn(serving, request);
  if (pathname !== '/decode' || method !== 'POST') {
    return { status: 404, body: JSON.stringify({ message: 'only POST /decode' }) };
  }
  if (!isAuthorised(serving, request, isAllowedOrigin)) {
    const message = 'not authorised: send the token as a bearer, or log in at / in this browser';
    return { status: 401, body: JSON.stringify({ message }) };
  }
  const payloads = parsePayloads(await readBody(request));
  const decoded = await serving.codec.decode(payloads.map(fromWire));
  return {
    status: 200,
    body: JSON.stringify({ payloads: decoded.map(toWire) }),
    payloads: payloads.length,
  };
}

/** A cookie counts only together with an allowed origin: another site must not ride on it. */
function isAuthorised(
  { token }: Serving,
  { headers }: IncomingMessage,
  isAllowedOrigin: boolean,
): boolean {
  const [, bearer] = /^Bearer (.+)$/i.exec(headers.authorization ?? '') ?? [];
  if (bearer !== undefined && isSame(bearer, token)) return true;
  const [, cookie] =
    new RegExp(`(?:^|; )${COOKIE}=([0-9a-f]{64})`).exec(headers.cookie ?? '') ?? [];
  return isAllowedOrigin && cookie !== undefined && isSame(cookie, cookieOf(token));
}

/** In constant time, whatever the lengths. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

/** Not the token itself: a cookie jar is read more easily than a secret store. */
function cookieOf(token: string): string {
  return createHash('sha256').update(`pawl codec cookie\0${token}`).digest('hex');
}

async function logIn({ token }: Serving, request: IncomingMessage): Promise<Reply> {
  const given = new URLSearchParams(await readBody(request)).get('token') ?? '';
  if (!isSame(given, token)) return { status: 401, type: 'text/html', body: FORM };
  const isSecure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : '';
  const cookie = `${COOKIE}=${cookieOf(token)}; HttpOnly; SameSite=Strict; Path=/${isSecure}`;
  return { status: 200, type: 'text/html', body: DONE, headers: { 'set-cookie': cookie } };
}

const PAGE = '<!doctype html><meta charset="utf-8"><title>Pawl codec server</title>';
const FORM = `${PAGE}<form method="post"><label>Token <input name="token" type="password" autofocus></label> <button>Log in</button></form>`;
const DONE = `${PAGE}<p>Logged in. Temporal's UI can decrypt now: switch on "Include cross-origin credentials" there.</p>`;

class TooLarge extends Error {}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  // The connection stays for the answer that says why.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += (chunk as Buffer).length;
    if (size > BODY_BYTES_MAX) throw new TooLarge('the body is larger than 16 MiB');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Protobuf's JSON: bytes are base64. */
interface WirePayload {
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly data?: string | undefined;
}
type Payload = Awaited<ReturnType<Serving['codec']['decode']>>[number];

/** Throws with the place of what is no payload. */
function parsePayloads(body: string): readonly WirePayload[] {
  const parsed = bodySchema.safeParse(JSON.parse(body));
  if (parsed.success) return parsed.data.payloads;
  const [issue] = parsed.error.issues;
  throw new Error(`${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'unreadable'}`);
}

const base64 = z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64');
const bodySchema = z.object({
  payloads: z
    .array(z.object({ metadata: z.record(z.string(), base64).optional(), data: base64.optional() }))
    .default([]),
});

function fromWire({ metadata = {}, data }: WirePayload): Payload {
  const entries = Object.entries(metadata);
  return {
    metadata: Object.fromEntries(
      entries.map(([name, text]) => [name, Buffer.from(text, 'base64')]),
    ),
    ...(data === undefined ? {} : { data: Buffer.from(data, 'base64') }),
  };
}

function toWire({ metadata, data }: Payload): WirePayload {
  const entries = Object.entries(metadata ?? {});
  return {
    metadata: Object.fromEntries(
      entries.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
    ),
    ...(data ? { data: Buffer.from(data).toString('base64') } : {}),
  };
}
