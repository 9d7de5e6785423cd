// Tiny HTTP and TCP servers on loopback for the tests of the wire: what arrives is kept, what is answered is said.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';

/** A request as it arrived. */
export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface LocalServer {
  readonly url: string;
  readonly port: number;
  readonly arrived: readonly Arrived[];
  /** TCP connections that were made, requests or not. */
  connections(): number;
  close(): Promise<void>;
}

/** An HTTP server whose every request is answered by `answer`. */
export async function serve(
  answer: (request: Arrived, response: ServerResponse) => void,
  host = '127.0.0.1',
): Promise<LocalServer> {
  const arrived: Arrived[] = [];
  const server = createServer((message, response) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.on('end', () => {
      const { method = '', url = '', headers } = message;
      const request = { method, path: url, headers, body: Buffer.concat(chunks) };
      arrived.push(request);
      answer(request, response);
    });
  });
  // A kept connection that the server closes first looks like a lost answer.
  server.keepAliveTimeout = 0;
  const listening = await listen(server, host);
  return { ...listening, arrived, close: () => closeHttp(server) };
}

function closeHttp(server: ReturnType<typeof createServer>): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

/** A TCP server that treats each connection as told; for answers that no HTTP server would give. */
export async function serveTcp(onSocket: (socket: Socket) => void): Promise<LocalServer> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  const listening = await listen(server, '127.0.0.1');
  const close = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { ...listening, arrived: [], close };
}

async function listen(
  server: Server,
  host: string,
): Promise<Pick<LocalServer, 'url' | 'port' | 'connections'>> {
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${name}:${port}`, port, connections: () => connections };
}
