// The HTTP side of callbacks, for any server that speaks the Fetch API: verifies, reads, stores. It never logs a body.
import type { Json } from '../domain/rules/json.ts';
import { member, messageOfThrown } from '../domain/rules/thrown.ts';
import type { CallbackAnswer, CallbackMessage, CallbackReading } from './callbacks.ts';
import { ArgumentInvalidError, CallbackConflictError, ExitCode, isPawlError } from './errors.ts';
import { createWebhookVerifier, type VerifyWebhook } from './webhook-signature.ts';

/** One receiver that calls back. */
export interface CallbackReceiver {
  /** Whose effects it speaks of. */
  readonly tool: string | { readonly name: string };
  /** `whsec_…`, all that are valid now: several while one is rotated. */
  readonly secrets: readonly string[];
  /** @default the client's */
  readonly tenant?: string | undefined;
  /**
   * Reads the receiver's own JSON. Null: it says nothing of an outcome, and is answered without being kept. A throw is
   * a 400: the receiver will send it again.
   */
  readonly read: (body: Json) => CallbackReading | null;
}

export interface CallbackHandlerOptions {
  readonly client: { receiveCallback(message: CallbackMessage): Promise<CallbackAnswer> };
  /** By the path of the URL, such as `/callbacks/payout`. */
  readonly receivers: Readonly<Record<string, CallbackReceiver>>;
  /** Told of every answer: for metrics and logs. Never of a body. */
  readonly onAnswer?: ((answer: CallbackReport) => void) | undefined;
}

export interface CallbackReport {
  readonly path: string;
  readonly status: number;
  /** `accepted`, `duplicate`, `ignored`, or the code of the error. */
  readonly code: string;
  /** The receiver's id of the message; undefined when its signature is not genuine. */
  readonly id?: string | undefined;
}

export type CallbackHandler = (request: Request) => Promise<Response>;

const BODY_BYTES_MAX = 1_048_576;
const METHOD = 'POST';

/**
 * A handler for receivers that sign as Standard Webhooks 1.0 says. 202: stored (or known, or of no interest); 400: not
 * readable; 401: forged or older than 5 minutes; 404, 405, 413; 409: another message under a known id; 503 while the
 * ledger is down: send it again. Throws ArgumentInvalidError at once when a secret is none.
 */
export function createCallbackHandler(options: CallbackHandlerOptions): CallbackHandler {
  const routes = new Map<string, Route>();
  for (const [path, receiver] of Object.entries(options.receivers)) {
    if (!path.startsWith('/')) {
      throw new ArgumentInvalidError(`"${path}" is no path: it begins with a slash.`);
    }
    routes.set(path, { receiver, verify: createWebhookVerifier(path, receiver.secrets) });
  }
  return async (request) => {
    const path = new URL(request.url).pathname;
    const answer = await answerTo(options, routes.get(path), request);
    options.onAnswer?.({ path, status: answer.status, code: answer.code, id: answer.id });
    return toResponse(answer);
  };
}

interface Route {
  readonly receiver: CallbackReceiver;
  readonly verify: VerifyWebhook;
}

interface Answer {
  readonly status: number;
  readonly code: string;
  readonly message?: string | undefined;
  readonly effect?: string | null | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly id?: string | undefined;
}

async function answerTo(
  { client }: CallbackHandlerOptions,
  route: Route | undefined,
  request: Request,
): Promise<Answer> {
  if (!route) return refuse(404, 'Callback.NoReceiver', 'No receiver calls back at this path.');
  if (request.method !== METHOD) {
    return {
      ...refuse(405, 'Callback.MethodNotAllowed', `Only ${METHOD}.`),
      headers: { allow: METHOD },
    };
  }
  const bytes = await readBody(request);
  if (bytes === 'too-large') {
    const message = `A callback has at most ${BODY_BYTES_MAX} bytes.`;
    return { ...refuse(413, 'Callback.TooLarge', message), headers: { connection: 'close' } };
  }
  if (bytes === 'cut') return refuse(400, 'Callback.Unreadable', 'The body was cut off.');
  const verdict = route.verify(request.headers, bytes, Date.now());
  if (verdict.kind === 'refused') return refuse(401, 'Callback.NotGenuine', `${verdict.reason}.`);
  const { id } = verdict;
  return { ...(await take(client, route.receiver, id, bytes)), id };
}

/** What a genuine message becomes. */
async function take(
  client: CallbackHandlerOptions['client'],
  receiver: CallbackReceiver,
  id: string,
  bytes: Uint8Array,
): Promise<Answer> {
  const reading = readMessage(receiver, bytes);
  if (reading.kind === 'unreadable') return refuse(400, 'Callback.Unreadable', reading.reason);
  if (!reading.message) return { status: 202, code: 'ignored' };
  const { tool, tenant } = receiver;
  const name = typeof tool === 'string' ? tool : tool.name;
  try {
    const stored = await client.receiveCallback({ ...reading.message, tool: name, id, tenant });
    return { status: 202, code: stored.kind, effect: stored.effect };
  } catch (error) {
    return toFailure(error);
  }
}

type Reading =
  | { readonly kind: 'read'; readonly message: CallbackReading | null }
  | { readonly kind: 'unreadable'; readonly reason: string };

function readMessage({ read }: CallbackReceiver, bytes: Uint8Array): Reading {
  try {
    const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
    return { kind: 'read', message: read(body) };
  } catch (error) {
    return { kind: 'unreadable', reason: describeUnreadable(error) };
  }
}

/** The fields where there are some; a parser's own message may quote the body, and stays here. */
function describeUnreadable(error: unknown): string {
  if (member(error, 'name') === 'SyntaxError') return 'The body is not JSON.';
  const issues = member(error, 'issues');
  try {
    if (!Array.isArray(issues)) return messageOfThrown(error);
    const fields = (issues as { path?: unknown[]; message?: string }[]).map(
      ({ path = [], message = 'invalid' }) =>
        `${path.map(String).join('.') || 'the body'}: ${message}`,
    );
    return fields.join('; ');
  } catch {
    return messageOfThrown(error);
  }
}

const RETRY_AFTER_SECONDS = 5;

function toFailure(error: unknown): Answer {
  if (error instanceof CallbackConflictError) return refuse(409, error.code, error.message);
  if (error instanceof ArgumentInvalidError) return refuse(400, error.code, error.message);
  const isDown = isPawlError(error) && error.exitCode === ExitCode.Unreachable;
  if (!isDown) return refuse(500, 'Callback.Failed', 'It was not stored: send it again.');
  // Where the ledger is, is nobody's business.
  return {
    ...refuse(503, error.code, 'The ledger is down: send it again.'),
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  };
}

function refuse(status: number, code: string, message: string): Answer {
  return { status, code, message };
}

function toResponse({ status, code, message, effect, headers }: Answer): Response {
  const body =
    message === undefined ? { kind: code, effect: effect ?? null } : { error: { code, message } };
  return Response.json(body, { status, ...(headers ? { headers } : {}) });
}

/** At most 1 MB is ever held, whatever the sender claims. */
async function readBody(request: Request): Promise<Uint8Array | 'too-large' | 'cut'> {
  if (Number(request.headers.get('content-length') ?? 0) > BODY_BYTES_MAX) return 'too-large';
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  try {
    for (;;) {
      const { done = true, value } = (await reader?.read()) ?? {};
      if (done || !value) return Buffer.concat(chunks);
      size += value.byteLength;
      if (size > BODY_BYTES_MAX) return 'too-large';
      chunks.push(value);
    }
  } catch {
    return 'cut';
  } finally {
    reader?.releaseLock();
  }
}
