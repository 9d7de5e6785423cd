// Carries bytes to the adapters: most in the process, as a `fetch` that answers them, a share over a real socket.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAnthropicProvider } from '../../../activities/models/anthropic.ts';
import type { ModelProvider } from '../../../activities/models/model-provider.ts';
import { createOpenAiProvider } from '../../../activities/models/openai.ts';
import type { ModelAnswer, ModelRequest } from '../../../domain/rules/transcript.ts';
import type { Format } from './recorded.ts';

export interface Carrier {
  read(format: Format, body: string, isOnSocket: boolean): Promise<ModelAnswer>;
  close(): Promise<void>;
}

const REQUEST: ModelRequest = {
  model: 'model-1',
  system: 'You pay.',
  messages: [{ role: 'user', parts: [{ kind: 'text', text: 'Pay.' }] }],
  tools: [],
  maxOutputTokens: 100,
};
const HEADERS = { 'content-type': 'text/event-stream', 'request-id': 'req_1' };

/** One call at a time. */
export async function createCarrier(): Promise<Carrier> {
  let next = '';
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, HEADERS);
      const bytes = Buffer.from(next);
      const half = bytes.length >> 1;
      response.write(bytes.subarray(0, half));
      response.end(bytes.subarray(half));
    });
  });
  // A connection that ends between two cases would look like a failed call.
  server.keepAliveTimeout = 0;
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const account = { apiKey: 'key', baseURL: `http://127.0.0.1:${port}` };
  const adapters: Record<Format, ModelProvider> = {
    anthropic: createAnthropicProvider(account),
    openai: createOpenAiProvider(account),
  };
  return {
    read(format, body, isOnSocket) {
      next = body;
      const answered = (): Promise<Response> =>
        Promise.resolve(new Response(body, { headers: HEADERS }));
      return adapters[format].call(REQUEST, {
        // One for all would gather the listeners of all.
        signal: new AbortController().signal,
        onChunk: () => undefined,
        idempotencyKey: 'key',
        ...(isOnSocket ? {} : { fetch: answered }),
      });
    },
    close: () => closeServer(server),
  };
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((closed) => server.close(() => closed()));
}
