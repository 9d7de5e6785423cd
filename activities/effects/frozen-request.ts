// A request as the ledger keeps it: the exact bytes, with the headers that are known to hold no credential, and nothing else.
import type { FrozenRequest } from '../ledger/effect-ledger.ts';

type Header = readonly [string, string];

/** What is never stored: a rotated key must work on a resend, and a backup must not hold keys. */
export interface OwnParts {
  /** All headers but those that are stored. */
  readonly headers: readonly Header[];
  /** The request's own URL, whose credentials fill the places that are empty in the stored one. */
  readonly url: string;
}

export interface FrozenParts {
  readonly frozen: FrozenRequest;
  readonly own: OwnParts;
}

/** What a request says of itself, and whose account it is for: a key sent to another account is a new one. Whatever else a tool sends may be a credential under any name. */
const STORED =
  /^(accept(-.*)?|content-.*|idempotency-key|prefer|if-.*|user-agent|origin|date|trace(parent|state)|soapaction|x-http-method-override|x-(request|correlation)-id|([a-z]+-)*(version|account|merchant|tenant|organization|project|region)(-id)?)$/;

/** Names of parameters whose values are credentials, or signed with one. */
const SECRET_PARAMETER =
  /(^|[^a-z])(key|sig|sign|pass|pwd|auth|code|jwt|otp|pin|sid)([^a-z]|$)|api-?_?key|[a-z]key$|token|secret|signature|passw|credential|authorization|session/i;

/** Reads a request to its end and takes apart what is stored. A header that is the effect's key is stored under any name. */
export async function freeze(request: Request, wireKey: string): Promise<FrozenParts> {
  const headers: Header[] = [...request.headers];
  const isStored = ([name, value]: Header): boolean => STORED.test(name) || value === wireKey;
  return {
    frozen: {
      method: request.method,
      url: mapSecrets(request.url, () => ''),
      headers: headers.filter(isStored),
      body: Buffer.from(await request.arrayBuffer()),
    },
    own: { headers: headers.filter((header) => !isStored(header)), url: request.url },
  };
}

/** The stored bytes with what this attempt brings, ready for the wire. What is stored wins. */
export function thaw(
  frozen: FrozenRequest,
  own: OwnParts,
): { readonly url: string; readonly init: RequestInit } {
  const stored = new Set(frozen.headers.map(([name]) => name.toLowerCase()));
  const added = own.headers.filter(([name]) => !stored.has(name));
  const headers = [...frozen.headers, ...added].map(([name, value]): [string, string] => [
    name,
    value,
  ]);
  const body = frozen.body.length > 0 ? new Uint8Array(frozen.body) : null;
  return { url: fillSecrets(frozen.url, own.url), init: { method: frozen.method, headers, body } };
}

/** Puts the attempt's credentials where the stored URL has empty ones, by name and in order; other bytes stay. */
function fillSecrets(stored: string, own: string): string {
  const values = new Map<string, string[]>();
  mapSecrets(own, (name, value) => {
    values.set(name, [...(values.get(name) ?? []), value]);
    return value;
  });
  return mapSecrets(
    stored,
    (name, value) => (value === '' ? values.get(name)?.shift() : value) ?? '',
  );
}

/** The URL with other values of the parameters that are credentials; its other bytes stay as they are. */
function mapSecrets(url: string, toValue: (name: string, value: string) => string): string {
  const [, before = '', query, after = ''] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(url) ?? [];
  if (query === undefined) return url;
  const parts = query.split('&').map((part) => {
    const [name = ''] = part.split('=', 1);
    if (!part.includes('=') || !SECRET_PARAMETER.test(decode(name))) return part;
    return `${name}=${toValue(name, part.slice(name.length + 1))}`;
  });
  return `${before}?${parts.join('&')}${after}`;
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
