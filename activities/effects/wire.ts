// The wire: one HTTP request with no redirect, a judged peer, a bounded answer and a deadline. Knows nothing of effects.
import type { LookupFunction } from 'node:net';
import { Agent, DecoratorHandler, type Dispatcher, fetch as undiciFetch } from 'undici';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { joinSignals, withoutSignal } from '../join-signals.ts';
import { isPrivate } from './addresses.ts';
import { AnswerTooLarge, boundAnswer } from './answer.ts';
import { checkUrl, createConnector, type Guard } from './egress.ts';

export interface WireOptions {
  /** Whether tools may reach loopback, private and link-local addresses. @default 'refuse' */
  readonly privateNetworks?: 'allow' | 'refuse';
  /** The only hosts that tools may reach, as `toHost` gives them. @default every public one */
  readonly hosts?: readonly string[] | undefined;
  /** @default the system's */
  readonly lookup?: LookupFunction;
  /** Which addresses are private; for tests. @default `isPrivate` */
  readonly isRefused?: Guard['isRefused'];
}

/** What one tool adds. */
export interface WireRules {
  /** Of an answer, on the wire and decoded. @default 16 MB */
  readonly maxAnswerBytes?: number | undefined;
  /** The only hosts that the tool may reach. @default those of the worker */
  readonly egress?: readonly string[] | undefined;
}

/** A `fetch` with rules of the tool that calls. */
export type Wire = (
  input: string | URL | Request,
  init?: RequestInit,
  rules?: WireRules,
) => Promise<Response>;

const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** A `fetch` for tools: refuses redirects, other schemes, hosts that are not listed and, unless allowed, private peers. */
export function createWire({
  privateNetworks = 'refuse',
  hosts,
  lookup,
  isRefused = isPrivate,
}: WireOptions = {}): Wire {
  const judge = privateNetworks === 'allow' ? (): boolean => false : isRefused;
  const agent = new Agent({
    // One request per connection at a time; a broken connection is reported, never retried by the pool.
    pipelining: 1,
    connect: createConnector({ isRefused: judge, lookup }),
  });
  return async (input, init, rules = {}) => {
    const bytesMax = rules.maxAnswerBytes ?? ANSWER_BYTES_MAX;
    const { url, headers, ...request } = await readRequest(input, init);
    checkUrl(new URL(url), [hosts, rules.egress]);
    const signal = joinSignals(init?.signal, input instanceof Request ? input.signal : undefined);
    const dispatcher = agent.compose(limitBytes(bytesMax));
    const sent = { ...request, headers: askPlain(headers), signal, redirect: 'error', dispatcher };
    const response = await undiciFetch(url, sent as UndiciInit);
    return boundAnswer(response as unknown as Response, bytesMax);
  };
}

/** The wire under the rules of a tool, as its code gets it. */
export function wireFor(wire: Wire, { maxAnswerBytes, egress }: AnyTool): typeof fetch {
  return (input, init) => wire(input, init, { maxAnswerBytes, egress });
}

/** What unpacks to a thousand times its size is not asked for, unless the tool does. */
function askPlain(given: RequestInit['headers']): [string, string][] {
  const headers = [...new Headers(given)] as [string, string][];
  const isAsked = headers.some(([name]) => name === 'accept-encoding');
  return isAsked ? headers : [...headers, ['accept-encoding', 'identity']];
}

/**
 * undici's fetch loses an abort in the packet that also holds the head. Bodies that are not packed end at their limit
 * before this one, in `boundAnswer`.
 */
const PACKED_SLACK_BYTES = 1024 * 1024;

/** Ends the connection after so many bytes of a body, before they are unpacked: what unpacks to nothing counts, too. */
function limitBytes(bytesMax: number): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => dispatch(options, new Counting(handler, bytesMax));
}

interface Forwarding {
  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void;
}
/** Its methods are missing in undici's types. */
const Forwarding = DecoratorHandler as unknown as new (
  handler: Dispatcher.DispatchHandler,
) => Forwarding;

class Counting extends Forwarding {
  #count = 0;
  readonly #bytesMax: number;
  constructor(handler: Dispatcher.DispatchHandler, bytesMax: number) {
    super(handler);
    this.#bytesMax = bytesMax;
  }
  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#count += chunk.length;
    if (this.#count > this.#bytesMax + PACKED_SLACK_BYTES)
      controller.abort(new AnswerTooLarge(this.#bytesMax));
    else super.onResponseData(controller, chunk);
  }
}

/** A request as any copy of undici reads it: its Request, Headers and FormData are not the global ones. */
async function readRequest(
  input: string | URL | Request,
  init?: RequestInit,
): Promise<{ url: string; method?: string; headers?: RequestInit['headers']; body: unknown }> {
  // As an effect sends its stored bytes: nothing of it needs a Request of its own.
  if (typeof input === 'string' && init?.method && isPlain(init)) {
    return { url: input, method: init.method, headers: init.headers, body: init.body ?? null };
  }
  const request = withoutSignal(input, init);
  const { url, method, headers } = request;
  const body = request.body === null ? null : await request.arrayBuffer();
  return { url, method, headers: [...headers] as [string, string][], body };
}

function isPlain({ headers, body }: RequestInit): boolean {
  const isBytes = body === null || body === undefined || body instanceof Uint8Array;
  return isBytes && Array.isArray(headers);
}

type UndiciInit = Parameters<typeof undiciFetch>[1];
