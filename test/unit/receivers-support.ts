// What the tests of the fake receivers share: a scratch folder, one transfer, and a wait for a
// condition.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Scratch {
  /** A fresh log file. */
  logFile(): string;
  /** Closes what was started, last first, and removes the folder. */
  cleanUp(): Promise<void>;
  /** Registers something to close. */
  closing<T extends { close(): Promise<void> }>(started: T): T;
}

export function createScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-receivers-'));
  const open: Array<() => Promise<void>> = [];
  let files = 0;
  return {
    logFile: () => join(folder, `log-${++files}.jsonl`),
    closing: (started) => {
      open.push(() => started.close());
      return started;
    },
    async cleanUp() {
      for (const close of open.reverse()) await close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const invoice = { reference: 'INV-1', payee: 'Acme', amountMinor: 2_000, currency: 'EUR' };

export interface Sent {
  status: number;
  // JSON of any shape: each test looks at its own fields.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  body: any;
  headers: Headers;
}

export interface Send {
  key?: string;
  body?: unknown;
  path?: string;
  signal?: AbortSignal;
}

/** One POST, by default of the invoice to `/transfers`. */
export async function post(url: string, send: Send = {}): Promise<Sent> {
  const { key, body = invoice, path = '/transfers', signal } = send;
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { 'idempotency-key': key }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: signal ?? null,
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export async function get(url: string, path: string): Promise<Sent> {
  const response = await fetch(`${url}${path}`);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Resolves as soon as the condition holds; the test's own time-out is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(2);
}

/** The innermost error code of a failed fetch: `ECONNRESET`, `UND_ERR_SOCKET`, `ECONNREFUSED`, … */
export async function wireError(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause;
    return cause?.code ?? (error as Error).name;
  }
  return 'no error';
}
