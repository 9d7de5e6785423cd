// The wire: one HTTP request with no redirect, a checked peer address and a deadline. Knows nothing of effects.
import { BlockList, isIP } from 'node:net';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { joinSignals, withoutSignal } from '../join-signals.ts';

export interface WireOptions {
  /** Whether tools may reach loopback, private and link-local addresses. @default 'refuse' */
  readonly privateNetworks?: 'allow' | 'refuse';
}

/** The connected peer is one that tools may not reach. */
export class EgressRefused extends Error {
  readonly code = 'PAWL_EGRESS_REFUSED';
  constructor(host: string, address: string) {
    super(
      `"${host}" is ${address}, a private address: tools may not reach it ` +
        '(set egress.privateNetworks to "allow" where that is meant)',
    );
    this.name = 'EgressRefused';
  }
}

/** A `fetch` for tools: refuses redirects and, unless allowed, private peers. */
export function createWire({ privateNetworks = 'refuse' }: WireOptions = {}): typeof fetch {
  const connect = buildConnector({ timeout: 10_000 });
  const agent = new Agent({
    // One request per connection at a time; a broken connection is reported, never retried by the pool.
    pipelining: 1,
    connect(options, callback) {
      connect(options, (error, socket) => {
        if (error) return callback(error, null);
        // The address is checked after the connection: a name that resolves twice cannot lie to us.
        const address = socket.remoteAddress ?? '';
        if (privateNetworks === 'refuse' && isPrivate(address)) {
          socket.destroy();
          return callback(new EgressRefused(options.hostname, address), null);
        }
        return callback(null, socket);
      });
    },
  });
  const wire = async (input: string | URL | Request, init?: RequestInit): Promise<unknown> => {
    const { url, ...request } = await readRequest(input, init);
    const signal = joinSignals(init?.signal, input instanceof Request ? input.signal : undefined);
    const sent = { ...request, signal, redirect: 'error', dispatcher: agent };
    return undiciFetch(url, sent as UndiciInit);
  };
  return wire as typeof fetch;
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

/** What only comes before a connection is made. */
const NEVER_CONNECTED = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'PAWL_EGRESS_REFUSED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);
/** The code alone proves nothing: Linux reports an ICMP message on a live connection as ECONNREFUSED or EHOSTUNREACH. */
const CONNECTING = new Set(['connect', 'getaddrinfo']);

/** Why nothing was written, when the error proves that no connection was made; undefined otherwise. */
export function whyNeverConnected(error: unknown): string | undefined {
  let cause = error;
  for (let depth = 0; depth < 8 && isObject(cause); depth += 1) {
    if (isBeforeConnection(cause)) return `${String(cause['code'])}: ${String(cause['message'])}`;
    cause = cause['cause'];
  }
  return undefined;
}

/** Read by its fields: `instanceof Error` fails across realms. Several addresses fail as one error with `errors`. */
function isBeforeConnection({ code, syscall, errors }: Record<string, unknown>): boolean {
  if (Array.isArray(errors)) {
    return errors.length > 0 && errors.every((each) => isObject(each) && isBeforeConnection(each));
  }
  if (typeof code !== 'string') return false;
  return NEVER_CONNECTED.has(code) || CONNECTING.has(String(syscall));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

const blocked = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  blocked.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['::', 96],
  // Translators and tunnels: what comes out at their other end is an IPv4 address.
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  blocked.addSubnet(network, prefix, 'ipv6');
}

/** True for loopback, private, link-local, metadata and other addresses that are not on the public internet. */
export function isPrivate(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const plain = mapped ?? address;
  const family = isIP(plain);
  if (family === 0) return true;
  return blocked.check(plain, family === 4 ? 'ipv4' : 'ipv6');
}
