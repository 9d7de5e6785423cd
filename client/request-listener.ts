// Mounts a Fetch-API handler on node:http: a request becomes a Request, a Response becomes the answer; nothing is decided.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

/** `createServer(toRequestListener(handler))`. What is no request is answered with 400, a handler that throws with 500. */
export function toRequestListener(
  handler: (request: Request) => Promise<Response>,
): RequestListener {
  return (message, response) => {
    const request = toRequest(message);
    if (!request) {
      response.writeHead(400).end();
      return;
    }
    handler(request)
      .then((answer) => send(response, answer))
      .catch(() => {
        if (response.headersSent) response.destroy();
        else response.writeHead(500).end();
      });
  };
}

/** Undefined for an address or a method that a Request cannot have. */
function toRequest(message: IncomingMessage): Request | undefined {
  const { method = 'GET', url = '/' } = message;
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  const hasBody = method !== 'GET' && method !== 'HEAD';
  // The host is what the sender claims: a handler goes by the path alone.
  const base = 'http://localhost';
  try {
    return new Request(new URL(url.replace(/^\/+/, '/'), base), {
      method,
      headers,
      // Read by whoever reads the request: what nobody reads, node:http throws away.
      ...(hasBody && { body: message as AsyncIterable<Uint8Array>, duplex: 'half' as const }),
    });
  } catch {
    return undefined;
  }
}

async function send(response: ServerResponse, answer: Response): Promise<void> {
  const bytes = Buffer.from(await answer.arrayBuffer());
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(bytes);
}
