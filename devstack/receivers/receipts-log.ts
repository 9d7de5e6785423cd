// The append-only receipts log of a receiver: ground truth about what arrived and what was done; it
// knows no API and no fault.
import {
  closeSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** A value that survives JSON unchanged. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** An HTTP answer as the receiver gives it and stores it under an idempotency key. */
export interface Answer {
  status: number;
  body: Json;
  headers?: Record<string, string>;
}

/**
 * One request on the wire, as it arrived. Values of credential headers are replaced by a short
 * hash.
 */
export interface RequestLine {
  v: 1;
  kind: 'request';
  /** Counts the requests of this log from 1; it goes on over restarts. */
  seq: number;
  /** Arrival, milliseconds since the epoch. */
  atMs: number;
  receiver: string;
  method: string;
  /** Path and query. */
  path: string;
  headers: Record<string, string>;
  /** The `Idempotency-Key` header without the quotes of a structured field. */
  idempotencyKey?: string;
  body: string;
  bodySha256: string;
  /** False when the sender was gone before the whole body had arrived: nothing was executed. */
  complete: boolean;
}

/**
 * What an effect is, in business terms, and the answer that was (or would have been) given for it.
 */
export interface EffectRecord {
  receiptId: string;
  effect: 'transfer' | 'cancellation' | 'message';
  /** The sender's business reference: what an auditor would join on. */
  reference: string;
  amountMinor?: number;
  currency?: string;
  details: { [key: string]: Json };
  answer: Answer;
}

/** An effect in the log: done (`receipt`), only promised (`acceptance`), or promised and not kept (`rejection`). */
export interface EffectLine extends EffectRecord {
  v: 1;
  kind: 'receipt' | 'acceptance' | 'rejection';
  atMs: number;
  receiver: string;
  /** The request that caused it; absent when an accepted effect was done later, by itself. */
  requestSeq?: number;
  idempotencyKey?: string;
  /** SHA-256 over method, path and body; present only when the receiver remembers the key. */
  keyFingerprint?: string;
}

/** An effect that the receiver really did. */
export interface ReceiptLine extends EffectLine {
  kind: 'receipt';
}

/**
 * An effect that the receiver promised (202) and has not done; a receipt with the same id follows
 * when it does, a rejection when it never will.
 */
export interface AcceptanceLine extends EffectLine {
  kind: 'acceptance';
}

/** A promised effect that the receiver has given up: nothing was done, and nothing will be. */
export interface RejectionLine extends EffectLine {
  kind: 'rejection';
}

export type ReceiptsLogLine = RequestLine | ReceiptLine | AcceptanceLine | RejectionLine;

/** A line without the fields that every line gets when it is written. */
export type NewLine<L extends { v: 1 }> = Omit<L, 'v' | 'receiver'>;

export interface ReceiptsLogContents {
  lines: ReceiptsLogLine[];
  requests: RequestLine[];
  receipts: ReceiptLine[];
  acceptances: AcceptanceLine[];
}

/**
 * Reads a log file, also while its receiver runs. Throws when the file is missing or a line is
 * damaged.
 */
export function readReceipts(file: string): ReceiptsLogContents {
  const lines = parseLines(file, readLog(file));
  return {
    lines,
    requests: lines.filter((line) => line.kind === 'request'),
    receipts: lines.filter((line) => line.kind === 'receipt'),
    acceptances: lines.filter((line) => line.kind === 'acceptance'),
  };
}

function readLog(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new Error(`No receipts log at ${file}: was the receiver started with this file?`, {
      cause,
    });
  }
}

// A tail without a newline is a write that a kill interrupted: it was never answered, so it does
// not count.
function parseLines(file: string, bytes: Buffer): ReceiptsLogLine[] {
  const whole = bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1).toString('utf8');
  const texts = whole.split('\n').slice(0, -1);
  return texts.map((text, index) => {
    try {
      return JSON.parse(text) as ReceiptsLogLine;
    } catch (cause) {
      throw new Error(`${file}:${index + 1} is no line of a receipts log.`, { cause });
    }
  });
}

export interface ReceiptsLog {
  readonly file: string;
  /** What the log held when it was opened. */
  readonly restored: readonly ReceiptsLogLine[];
  /**
   * Hands the line to the operating system before it returns: it survives SIGKILL of this process.
   */
  append<L extends { v: 1; kind: string }>(line: NewLine<L>): L;
  /** Resolves when every line appended so far is on disk (fsync, shared by concurrent callers). */
  synced(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens (or creates, with its folder) a log for appending; a torn last line of a killed writer is
 * cut off.
 */
export function openReceiptsLog(file: string, receiver: string): ReceiptsLog {
  mkdirSync(dirname(file), { recursive: true });
  const fd = openSync(file, 'a+', 0o600);
  const bytes = readFileSync(file);
  const wholeBytes = bytes.lastIndexOf(0x0a) + 1;
  if (wholeBytes < bytes.length) ftruncateSync(fd, wholeBytes);
  const synced = createSync(fd);
  let closed = false;
  return {
    file,
    restored: parseLines(file, bytes),
    append<L extends { v: 1; kind: string }>(line: NewLine<L>): L {
      // The descriptor's number may belong to another file by now.
      if (closed) throw new Error(`The receipts log ${file} is closed.`);
      const full = { v: 1, receiver, ...line } as unknown as L;
      writeWhole(fd, Buffer.from(`${JSON.stringify(full)}\n`, 'utf8'));
      return full;
    },
    synced: () => (closed ? Promise.resolve() : synced()),
    async close() {
      if (closed) return;
      closed = true;
      await synced();
      closeSync(fd);
    },
  };
}

function writeWhole(fd: number, bytes: Buffer): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(fd, bytes, written);
}

// One fsync serves all that wait: a log that syncs per line would be the bottleneck of every load
// test.
function createSync(fd: number): () => Promise<void> {
  let waiting: Array<(error: Error | null) => void> = [];
  let busy = false;
  const pump = (): void => {
    if (busy || waiting.length === 0) return;
    const batch = waiting;
    waiting = [];
    busy = true;
    fsync(fd, (error) => {
      busy = false;
      for (const done of batch) done(error);
      pump();
    });
  };
  return () =>
    new Promise((resolve, reject) => {
      waiting.push((error) => (error ? reject(error) : resolve()));
      pump();
    });
}
