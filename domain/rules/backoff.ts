// Full jitter as a pure function: the dice are thrown by the caller, so activities and tests agree.
import { assert } from './assert.ts';

export interface BackoffInput {
  /** The attempt that has just failed; the first is 1. */
  readonly attempt: number;
  /** The longest wait after the first attempt; doubles with each further one. */
  readonly baseMs: number;
  /** No jitter is longer than this; the provider's own wish may be. */
  readonly capMs: number;
  /** The provider's wish: a floor, with the jitter on top, so that its crowd does not return at once. */
  readonly retryAfterMs?: number | undefined;
  /** A number in [0, 1), such as `Math.random()` gives. */
  readonly random: number;
}

/** Whole milliseconds to wait before the next attempt: uniform in [0, min(cap, base * 2^(attempt - 1))). */
export function nextDelayMs(input: BackoffInput): number {
  const { attempt, baseMs, capMs, random } = input;
  assert(Number.isInteger(attempt) && attempt >= 1, 'attempts count from 1');
  assert(baseMs > 0 && capMs > 0, 'base and cap are longer than nothing');
  assert(random >= 0 && random < 1, 'random is in [0, 1)');
  const spreadMs = Math.min(capMs, baseMs * 2 ** (attempt - 1));
  return Math.ceil(Math.max(0, input.retryAfterMs ?? 0)) + Math.floor(random * spreadMs);
}
