// Reads what fetch threw: the proof that nothing was ever written, and what of it may be told.
import { describeThrown } from '../../domain/rules/thrown.ts';
import { NOT_REACHED } from './egress.ts';

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
    if (isBeforeConnection(cause)) {
      return `${String(cause['code'])}: ${String(cause['detail'] ?? cause['message'])}`;
    }
    cause = cause['cause'];
  }
  return undefined;
}

/** Of a reason that `whyNeverConnected` gave. */
export function isRefusedAddress(why: string): boolean {
  return why.startsWith('PAWL_EGRESS_REFUSED: ');
}

/** A failure in words for a model. Network failures share one neutral sentence: a closed, open or silent port looks the same. */
export function tellFailure(error: unknown): string {
  return isOfNetwork(error) ? NOT_REACHED : describeThrown(error);
}

function isOfNetwork(error: unknown): boolean {
  let cause = error;
  for (let depth = 0; depth < 8 && isObject(cause); depth += 1) {
    const { code, syscall, errors } = cause;
    if (syscall !== undefined || (Array.isArray(errors) && errors.some(isOfNetwork))) return true;
    if (
      typeof code === 'string' &&
      /^(UND_ERR_|PAWL_EGRESS|E[A-Z_]*(TLS|SSL)|CERT_|DEPTH_)/.test(code)
    ) {
      return true;
    }
    cause = cause['cause'];
  }
  return false;
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
