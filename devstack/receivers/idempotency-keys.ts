// The idempotency keys of a receiver: what was answered under each, and which are being worked on;
// no I/O.
import type { Answer } from './receipts-log.ts';

export type KeyState =
  | { kind: 'free' }
  | { kind: 'inFlight' }
  | { kind: 'otherRequest' }
  | { kind: 'answered'; answer: Answer };

export interface IdempotencyKeys {
  /** `maxAgeMs`: a key that is so old, or older, is forgotten for good. */
  look(key: string, fingerprint: string, maxAgeMs?: number): KeyState;
  begin(key: string): void;
  end(key: string): void;
  remember(key: string, fingerprint: string, answer: Answer, atMs: number): void;
}

export function createIdempotencyKeys(): IdempotencyKeys {
  const inFlight = new Set<string>();
  const answered = new Map<string, { fingerprint: string; answer: Answer; atMs: number }>();
  return {
    look(key, fingerprint, maxAgeMs = Infinity) {
      if (inFlight.has(key)) return { kind: 'inFlight' };
      const known = answered.get(key);
      if (!known) return { kind: 'free' };
      if (Date.now() - known.atMs >= maxAgeMs) {
        answered.delete(key);
        return { kind: 'free' };
      }
      if (known.fingerprint !== fingerprint) return { kind: 'otherRequest' };
      return { kind: 'answered', answer: known.answer };
    },
    begin: (key) => void inFlight.add(key),
    end: (key) => void inFlight.delete(key),
    remember: (key, fingerprint, answer, atMs) =>
      void answered.set(key, { fingerprint, answer, atMs }),
  };
}

/** The key of a header: a structured-field string (`"k1"`), or leniently a bare token. */
export function toIdempotencyKey(header: string | undefined): string | undefined {
  if (!header) return undefined;
  return /^".*"$/.test(header) ? header.slice(1, -1) : header;
}
