// What the bank and the mailbox share: a server whose state is a fold over its receipts log, with
// modes and admin routes.
import { z } from 'zod';
import { deliver, listen, sendJson, toLoggedHeaders } from './http-server.ts';
import type { ArrivedRequest, Delay, Exchange, Listening } from './http-server.ts';
import { createIdempotencyKeys, toIdempotencyKey } from './idempotency-keys.ts';
import type { IdempotencyKeys } from './idempotency-keys.ts';
import { createModes, toModeRule } from './modes.ts';
import type { ActiveMode, ModeKind, ModeRule, Modes, ModeTable } from './modes.ts';
import { perform, refusal } from './perform.ts';
import type { Operation, PerformPorts } from './perform.ts';
import { openReceiptsLog } from './receipts-log.ts';
import type {
  Answer,
  EffectLine,
  EffectRecord,
  Json,
  NewLine,
  ReceiptLine,
} from './receipts-log.ts';
import type { ReceiptsLog, ReceiptsLogLine, RequestLine } from './receipts-log.ts';

export interface ReceiverOptions {
  /** The receipts log; created when missing, continued when it exists. */
  logFile: string;
  /** 0 (the default) takes a free port. */
  port?: number;
  /** Modes from the start, in order. */
  modes?: ModeRule[];
}

export interface Receiver extends Modes {
  readonly url: string;
  readonly logFile: string;
  /** The effects that this receiver really did, oldest first, over all restarts on this log. */
  receipts(filter?: ReceiptFilter): ReceiptLine[];
  /**
   * Every request on the wire, probes too, admin routes not; oldest first, over all restarts on
   * this log.
   */
  requests(filter?: RequestFilter): RequestLine[];
  /** Drops every connection and stops. */
  close(): Promise<void>;
}

export type ReceiptFilter = Partial<Pick<ReceiptLine, 'reference' | 'effect' | 'idempotencyKey'>>;
export type RequestFilter = Partial<Pick<RequestLine, 'method' | 'path' | 'idempotencyKey'>>;

/** What makes a receiver a bank or a mailbox. */
export interface ReceiverKind {
  name: string;
  supportedModes: ReadonlySet<ModeKind>;
  mismatchStatus: 409 | 422;
  /** Folds an effect into the state: at start for each one in the log, then for each new one. */
  apply(line: EffectLine): void;
  /** What the request asks for, or nothing when there is no such route. */
  route(request: ArrivedRequest): Operation | undefined;
  /** What it does between the commit of an effect and its answer; nothing when absent. */
  beforeAnswer?(effect: EffectRecord, mode: ActiveMode): Promise<void>;
  /**
   * A further admin command (`POST /_admin/<command>`), or nothing when there is none of this
   * name.
   */
  admin?(command: string, body: unknown): Json | undefined;
}

/** What a bank or a mailbox gets to work with. */
export interface ReceiverHandle {
  receiver: Receiver;
  /** Writes an effect that no request caused. */
  commit(line: NewLine<EffectLine>): void;
  delay: Delay;
}

interface State {
  kind: ReceiverKind;
  log: ReceiptsLog;
  modes: ModeTable;
  keys: IdempotencyKeys;
  requests: RequestLine[];
  receipts: ReceiptLine[];
}

export async function startReceiver(
  kind: ReceiverKind,
  options: ReceiverOptions,
): Promise<ReceiverHandle> {
  const modes = createModes(kind.name, kind.supportedModes, options.modes ?? []);
  const log = openReceiptsLog(options.logFile, kind.name);
  const keys = createIdempotencyKeys();
  const state: State = { kind, log, modes, keys, requests: [], receipts: [] };
  for (const line of log.restored) applyLine(state, line);
  try {
    const handle = (exchange: Exchange): Promise<void> => answer(state, exchange);
    return toHandle(state, await listen({ name: kind.name, port: options.port ?? 0, handle }));
  } catch (error) {
    await log.close();
    throw error;
  }
}

function toHandle(state: State, server: Listening): ReceiverHandle {
  const { log, modes } = state;
  const { setMode, addMode, clearModes, listModes } = modes;
  const receiver: Receiver = {
    url: server.url,
    logFile: log.file,
    ...{ setMode, addMode, clearModes, listModes },
    receipts: (filter = {}) => state.receipts.filter(hasAll(filter)),
    requests: (filter = {}) => state.requests.filter(hasAll(filter)),
    async close() {
      await server.close();
      await log.close();
    },
  };
  return { receiver, delay: server.delay, commit: (line) => commitEffect(state, line) };
}

function hasAll<T extends object>(filter: Partial<T>): (line: T) => boolean {
  const wanted = Object.entries(filter).filter(([, value]) => value !== undefined);
  return (line) => wanted.every(([name, value]) => line[name as keyof T] === value);
}

function commitEffect(state: State, line: NewLine<EffectLine>): void {
  applyLine(state, state.log.append<EffectLine>(line) as ReceiptsLogLine);
}

function applyLine(state: State, line: ReceiptsLogLine): void {
  if (line.kind === 'request') {
    state.requests.push(line);
    return;
  }
  if (line.kind === 'receipt') state.receipts.push(line);
  if (line.idempotencyKey !== undefined && line.keyFingerprint !== undefined) {
    state.keys.remember(line.idempotencyKey, line.keyFingerprint, line.answer, line.atMs);
  }
  state.kind.apply(line);
}

async function answer(state: State, { request, response, delay }: Exchange): Promise<void> {
  if (request.url.pathname.startsWith('/_admin/')) return sendJson(response, admin(state, request));
  const line = logRequest(state, request);
  await state.log.synced();
  if (!request.complete) return;
  const operation = state.kind.route(request) ?? noRoute(state, request);
  const mode = takeMode(state, request, operation);
  const performed = { arrived: request, idempotencyKey: line.idempotencyKey };
  const ports: PerformPorts = {
    keys: state.keys,
    mismatchStatus: state.kind.mismatchStatus,
    commit: (commit) => commitEffect(state, { ...commit, atMs: Date.now(), requestSeq: line.seq }),
    synced: () => state.log.synced(),
    beforeAnswer: async (effect, met) => state.kind.beforeAnswer?.(effect, met),
    delay,
  };
  deliver(response, await perform(ports, performed, operation, mode));
}

function takeMode(state: State, request: ArrivedRequest, operation: Operation): ActiveMode {
  if (operation.kind === 'answer') return { kind: 'ok' };
  const { pathname } = request.url;
  return state.modes.take({ method: request.method, pathname, reference: operation.reference });
}

/** The JSON body of a request, or the 400 that says what is wrong with it. */
export function parseBody<T>(
  schema: z.ZodType<T>,
  request: ArrivedRequest,
): { kind: 'value'; value: T } | { kind: 'answer'; answer: Answer } {
  let body: unknown;
  try {
    body = JSON.parse(request.body);
  } catch {
    return { kind: 'answer', answer: refusal(400, 'invalid_json', 'The body is not JSON.', false) };
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return { kind: 'value', value: parsed.data };
  const message = z.prettifyError(parsed.error);
  return { kind: 'answer', answer: refusal(400, 'invalid_request', message, false) };
}

function noRoute(state: State, { method, url }: ArrivedRequest): Operation {
  const message = `The ${state.kind.name} has no ${method} ${url.pathname}.`;
  return { kind: 'answer', answer: refusal(404, 'no_such_route', message, false) };
}

function logRequest(state: State, request: ArrivedRequest): RequestLine {
  const idempotencyKey = toIdempotencyKey(request.headers['idempotency-key']);
  const { atMs, method, path, body, bodySha256, complete } = request;
  const line = state.log.append<RequestLine>({
    kind: 'request',
    seq: (state.requests.at(-1)?.seq ?? 0) + 1,
    ...{ atMs, method, path, headers: toLoggedHeaders(request.headers) },
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...{ body, bodySha256, complete },
  });
  applyLine(state, line);
  return line;
}

// Admin routes are for tests in another process; they are no part of the receiver's API and are not
// logged.
function admin(state: State, request: ArrivedRequest): Answer {
  try {
    const body = adminBody(state, request);
    if (body !== undefined) return { status: 200, body };
    const message = `No admin route ${request.method} ${request.url.pathname}.`;
    return refusal(404, 'no_such_route', message);
  } catch (error) {
    return refusal(
      400,
      'bad_admin_request',
      error instanceof Error ? error.message : String(error),
    );
  }
}

function adminBody({ modes, ...state }: State, request: ArrivedRequest): Json | undefined {
  const command = request.url.pathname.slice('/_admin/'.length);
  switch (`${request.method} ${command}`) {
    case 'GET receipts':
      return state.receipts as unknown as Json;
    case 'GET requests':
      return state.requests as unknown as Json;
    case 'DELETE modes':
      modes.clearModes();
      break;
    case 'POST modes': {
      const { append = false, ...rest } = JSON.parse(request.body) as { append?: boolean };
      const { match, mode, ...options } = toModeRule(rest);
      (append ? modes.addMode : modes.setMode)(match, mode, options);
      break;
    }
    case 'GET modes':
      break;
    default:
      if (request.method !== 'POST') return undefined;
      return state.kind.admin?.(command, JSON.parse(request.body || 'null'));
  }
  return modes.listModes() as unknown as Json;
}
