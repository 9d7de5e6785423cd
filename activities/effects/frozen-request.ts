// A request as the ledger keeps it: the exact bytes, without credentials, which come from the attempt that sends.
import type { FrozenRequest } from '../ledger/effect-ledger.ts';

type Header = readonly [string, string];

export interface FrozenParts {
  readonly frozen: FrozenRequest;
  /** Never stored: a rotated key must work on a resend, and a backup must not hold keys. */
  readonly credentials: readonly Header[];
}

const CREDENTIALS =
  /^(authorization|proxy-authorization|cookie|.*(api-?key|token|secret|signature).*)$/i;

/** Reads a request to its end and takes the credentials apart from what is stored. */
export async function freeze(request: Request): Promise<FrozenParts> {
  const headers: Header[] = [...request.headers];
  return {
    frozen: {
      method: request.method,
      url: request.url,
      headers: headers.filter(([name]) => !CREDENTIALS.test(name)),
      body: Buffer.from(await request.arrayBuffer()),
    },
    credentials: headers.filter(([name]) => CREDENTIALS.test(name)),
  };
}

/** The stored bytes with this attempt's credentials, ready for the wire. */
export function thaw(frozen: FrozenRequest, credentials: readonly Header[]): RequestInit {
  return {
    method: frozen.method,
    headers: [...frozen.headers, ...credentials].map(([name, value]): [string, string] => [
      name,
      value,
    ]),
    body: frozen.body.length > 0 ? new Uint8Array(frozen.body) : null,
  };
}
