// TCP ports of this machine: which is free, which to take, and who holds a busy one.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';

import { ServerError } from './server-error.ts';

const HOST = '127.0.0.1';

function listenOnce(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });
}

/** Can a server listen on this port of the loopback address right now? */
export async function isPortFree(port: number): Promise<boolean> {
  // A listener on all addresses is not seen by a bind to the loopback address on every system.
  return (
    (await listenOnce(port, HOST)) !== undefined &&
    (await listenOnce(port, '0.0.0.0')) !== undefined
  );
}

/** A port that was free a moment ago; the server that takes it must still cope with a race. */
export async function findFreePort(): Promise<number> {
  const port = await listenOnce(0, HOST);
  if (port === undefined) throw new ServerError('cannot-start', `No free TCP port on ${HOST}.`);
  return port;
}

function listeningInodes(port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const isListening = fields[3] === '0A' && fields[1]?.endsWith(`:${wanted}`) === true;
      if (isListening && fields[9] !== undefined) inodes.add(fields[9]);
    }
  }
  return inodes;
}

/** Undefined for what has gone meanwhile, or is another user's. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function hasSocket(pid: string, inodes: Set<string>): boolean {
  const descriptors = attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
  return descriptors.some((descriptor) => {
    const target = attempt(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`)) ?? '';
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    return inode !== undefined && inodes.has(inode);
  });
}

function linuxHolder(port: number): string | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && hasSocket(name, inodes));
  if (pid === undefined) return undefined;
  return `process ${pid} (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`;
}

function lsofHolder(port: number): string | undefined {
  const args = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'];
  const fields = execFileSync('lsof', args, { encoding: 'utf8', stdio: 'pipe' }).split('\n');
  const pid = fields.find((field) => field.startsWith('p'))?.slice(1);
  const command = fields.find((field) => field.startsWith('c'))?.slice(1);
  return pid === undefined ? undefined : `process ${pid} (${command ?? 'unknown'})`;
}

/** `process 4711 (postgres)`, or undefined when the system does not tell. */
export function describePortHolder(port: number): string | undefined {
  return attempt(() => (process.platform === 'linux' ? linuxHolder(port) : lsofHolder(port)));
}

/** The error for a port that the user asked for and something else holds. */
export function busyPortError(what: string, port: number): ServerError {
  const holder = describePortHolder(port) ?? 'another process';
  return new ServerError(
    'busy-port',
    `Port ${port} for ${what} is held by ${holder}. End that process, or choose another port.`,
  );
}

export interface PortChoice {
  /** What listens there, for the error message. */
  readonly what: string;
  /** The port the user asked for: this one or an error. */
  readonly requested?: number | undefined;
  /** Tried first when the user asked for none. */
  readonly preferred?: number | undefined;
}

/** The port to use. Throws ServerError `busy-port` when the requested one is held. */
export async function choosePort({ what, requested, preferred }: PortChoice): Promise<number> {
  if (requested !== undefined) {
    if (await isPortFree(requested)) return requested;
    throw busyPortError(what, requested);
  }
  if (preferred !== undefined && (await isPortFree(preferred))) return preferred;
  return findFreePort();
}
