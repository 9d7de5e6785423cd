// Where tools may connect to: judged before the look-up, in it, and on the socket before a byte of TLS or of a request leaves.
import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { isHostListed } from '../../domain/rules/hosts.ts';

/** The message that tools and models get for every reason, so that a caller can't map a network with it. */
export const NOT_REACHED = 'The address could not be reached.';

/** Tools may not reach this. */
export class EgressRefused extends Error {
  readonly code = 'PAWL_EGRESS_REFUSED';
  /** For operators: it names the address. */
  readonly detail: string;
  constructor(detail: string) {
    super(NOT_REACHED);
    this.name = 'EgressRefused';
    this.detail = detail;
  }
}

/** Throws `EgressRefused` for a URL that no look-up is needed for: its scheme, or a host that is on none of the lists. */
export function checkUrl(url: URL, lists: readonly (readonly string[] | undefined)[]): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new EgressRefused(`"${url.protocol}" is neither http: nor https:`);
  }
  for (const hosts of lists) {
    if (hosts === undefined || isHostListed(hosts, url)) continue;
    throw new EgressRefused(
      `"${url.host}" is not on the list of hosts (PAWL_EGRESS_ALLOW, or egress of the tool)`,
    );
  }
}

export interface Guard {
  readonly isRefused: (address: string) => boolean;
  /** @default the system's */
  readonly lookup?: LookupFunction | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Connects to addresses that are not refused, and to nothing else; https begins on a socket that has been judged. */
export function createConnector(guard: Guard): buildConnector.connector {
  const { isRefused } = guard;
  const timeout = CONNECT_TIMEOUT_MS;
  const plain = buildConnector({ timeout, lookup: guardLookup(guard) } as never);
  const secure = buildConnector({ timeout });
  return (options, callback) => {
    const { hostname, protocol } = options;
    const literal = hostname.replace(/^\[(.*)\]$/, '$1');
    // Node looks up names only.
    if (isIP(literal) !== 0 && isRefused(literal)) return callback(refuse(hostname, literal), null);
    const port = options.port || (protocol === 'https:' ? '443' : '80');
    plain({ ...options, protocol: 'http:', port }, (error, socket) => {
      if (error) return callback(error, null);
      const address = socket.remoteAddress ?? '';
      if (isRefused(address)) {
        socket.destroy();
        return callback(refuse(hostname, address), null);
      }
      if (protocol !== 'https:') return callback(null, socket);
      return secure({ ...options, httpSocket: socket }, callback);
    });
  };
}

/** Only the addresses that are not refused, however often a name is looked up and whatever it says by then. */
function guardLookup({
  isRefused,
  lookup = systemLookup as LookupFunction,
}: Guard): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, []);
      const all = Array.isArray(found) ? found : [];
      const open = all.filter(({ address }) => !isRefused(address));
      const [first] = open;
      if (!first)
        return callback(refuse(hostname, all.map(({ address }) => address).join(', ')), []);
      if (options.all) return callback(null, open);
      return callback(null, first.address, first.family);
    });
  };
}

function refuse(hostname: string, address: string): EgressRefused {
  return new EgressRefused(
    `"${hostname}" is ${address || 'no address'}, a private address: tools may not reach it ` +
      '(PAWL_EGRESS_PRIVATE=allow where that is meant)',
  );
}
