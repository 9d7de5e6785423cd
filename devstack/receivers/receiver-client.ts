// Steers a receiver from another process, over its admin routes, and starts one as a process of its
// own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runtimeArguments } from '../runtime-arguments.ts';
import type { ModeKind, ModeMatch, ModeOptions, ModeRule } from './modes.ts';
import type { ReceiptLine, RequestLine } from './receipts-log.ts';
import type { WebhookTarget } from './webhooks.ts';

/**
 * What a test may ask of a bank or mailbox that runs in another process. Every call rejects with
 * the receiver's own message.
 */
export interface ReceiverClient {
  setMode(match: ModeMatch, mode: ModeKind, options?: ModeOptions): Promise<ModeRule[]>;
  addMode(match: ModeMatch, mode: ModeKind, options?: ModeOptions): Promise<ModeRule[]>;
  clearModes(): Promise<void>;
  listModes(): Promise<ModeRule[]>;
  /** Bank only: does the pending transfers of a reference now; resolves to how many there were. */
  settlePending(reference: string): Promise<number>;
  /** Bank only: gives the pending transfers of a reference up; resolves to how many there were. */
  rejectPending(reference: string): Promise<number>;
  /** Bank only: tells what becomes of pending transfers by webhook, from now on. */
  sendWebhooksTo(target: WebhookTarget): Promise<void>;
  receipts(): Promise<ReceiptLine[]>;
  requests(): Promise<RequestLine[]>;
}

export function connectReceiver(url: string): ReceiverClient {
  const ask = async <T>(method: string, command: string, body?: unknown): Promise<T> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${url}/_admin/${command}`, init);
    const answer = (await response.json()) as T & { error?: { message: string } };
    if (!response.ok) throw new Error(answer.error?.message ?? `HTTP ${response.status}`);
    return answer;
  };
  return {
    setMode: (match, mode, options) => ask('POST', 'modes', { match, mode, ...options }),
    addMode: (match, mode, options) =>
      ask('POST', 'modes', { match, mode, ...options, append: true }),
    clearModes: async () => void (await ask('DELETE', 'modes')),
    listModes: () => ask('GET', 'modes'),
    settlePending: (reference) => ask('POST', 'settle', { reference }),
    rejectPending: (reference) => ask('POST', 'reject', { reference }),
    sendWebhooksTo: async (target) => void (await ask('POST', 'webhooks', target)),
    receipts: () => ask('GET', 'receipts'),
    requests: () => ask('GET', 'requests'),
  };
}

export type ReceiverProcessOptions =
  | { kind: 'bank'; logFile: string; port?: number; mismatchStatus?: 409 | 422 }
  | { kind: 'mailbox'; logFile: string; port?: number }
  | { kind: 'provider'; scriptFile: string; logFile?: string; port?: number };

export interface ReceiverProcess {
  readonly url: string;
  readonly pid: number;
  /** Sends the signal (default SIGTERM) and resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * Starts a receiver as its own process and resolves when it listens; rejects with what it wrote to
 * stderr.
 */
export async function spawnReceiver(options: ReceiverProcessOptions): Promise<ReceiverProcess> {
  const here = fileURLToPath(import.meta.url);
  const main = here.replace(/receiver-client\.(ts|js)$/, 'main.$1');
  const node = [...runtimeArguments(main), main, ...toArguments(options)];
  // In this folder `tsx` resolves, wherever the caller's working directory is.
  const child = spawn(process.execPath, node, {
    cwd: dirname(here),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString('utf8')));
  const exited = once(child, 'exit');
  const first = createInterface({ input: child.stdout });
  const line = await Promise.race([once(first, 'line'), once(child, 'close')]);
  if (typeof line[0] !== 'string' || !line[0].startsWith('{')) {
    throw new Error(`The ${options.kind} did not start: ${complaint.trim() || 'no reason given'}`);
  }
  const { url } = JSON.parse(line[0]) as { url: string };
  return {
    url,
    pid: child.pid ?? 0,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
    },
  };
}

function toArguments(options: ReceiverProcessOptions): string[] {
  const parts = [options.kind as string, '--port', String(options.port ?? 0)];
  if (options.logFile !== undefined) parts.push('--log', resolve(options.logFile));
  if (options.kind === 'provider') parts.push('--script', resolve(options.scriptFile));
  if (options.kind === 'bank' && options.mismatchStatus !== undefined) {
    parts.push('--mismatch-status', String(options.mismatchStatus));
  }
  return parts;
}
