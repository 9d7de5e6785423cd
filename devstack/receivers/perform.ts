// Carries out one request under its mode: the only place that says in which order fault, key,
// commit and answer come.
import type { ActiveMode } from './modes.ts';
import { sha256 } from './http-server.ts';
import type { ArrivedRequest, Delay, Delivery } from './http-server.ts';
import type { IdempotencyKeys } from './idempotency-keys.ts';
import type { Answer, EffectRecord } from './receipts-log.ts';

/** What a request asks for, once a receiver has understood it. */
export type Operation =
  | { kind: 'answer'; answer: Answer }
  | { kind: 'read'; reference?: string | undefined; read(mode: ActiveMode): Answer }
  | {
      kind: 'write';
      reference?: string | undefined;
      keyed: boolean;
      draft(mode: ActiveMode): Draft;
    };

/** The effect that a write would have, or why it has none. */
export type Draft = { kind: 'effect'; effect: EffectRecord } | { kind: 'refusal'; answer: Answer };

/** An effect on its way into the log. */
export interface Commit extends EffectRecord {
  kind: 'receipt' | 'acceptance';
  idempotencyKey?: string;
  keyFingerprint?: string;
}

export interface PerformPorts {
  keys: IdempotencyKeys;
  mismatchStatus: 409 | 422;
  /** Writes the effect to the log and folds it into the receiver's state, at once. */
  commit(commit: Commit): void;
  /** Resolves when the log is on disk. */
  synced(): Promise<void>;
  /** What the receiver does between the commit and its answer. */
  beforeAnswer(effect: EffectRecord, mode: ActiveMode): Promise<void>;
  delay: Delay;
}

export interface PerformedRequest {
  arrived: ArrivedRequest;
  idempotencyKey: string | undefined;
}

export async function perform(
  ports: PerformPorts,
  request: PerformedRequest,
  operation: Operation,
  mode: ActiveMode,
): Promise<Delivery> {
  if (operation.kind === 'answer') return { kind: 'answer', answer: operation.answer };
  const early = deliveryBeforeLook(mode);
  if (early) return early;
  if (operation.kind === 'read') return deliveryOf(ports, mode, operation.read(mode));
  return write(ports, request, operation, mode);
}

/**
 * An error answer of a receiver. `executed: false` is its documented promise that nothing was
 * done.
 */
export function refusal(status: number, code: string, message: string, executed?: false): Answer {
  return { status, body: { error: { code, message, ...(executed === false && { executed }) } } };
}

function deliveryBeforeLook(mode: ActiveMode): Delivery | undefined {
  switch (mode.kind) {
    case '500-before':
      return { kind: 'answer', answer: refusal(500, 'internal_error', 'Something went wrong.') };
    case 'hang-before-commit':
      return { kind: 'hang' };
    case '409-in-flight':
      return { kind: 'answer', answer: keyInFlight };
    case '429':
      return { kind: 'answer', answer: tooMany(mode.retryAfterSeconds ?? 1) };
    default:
      return undefined;
  }
}

const keyInFlight = refusal(
  409,
  'key_in_flight',
  'A request with this key is still being processed.',
);

function tooMany(retryAfterSeconds: number): Answer {
  const answer = refusal(429, 'too_many_requests', 'Too many requests.', false);
  return { ...answer, headers: { 'retry-after': String(retryAfterSeconds) } };
}

async function write(
  ports: PerformPorts,
  request: PerformedRequest,
  operation: Operation & { kind: 'write' },
  mode: ActiveMode,
): Promise<Delivery> {
  const key =
    operation.keyed && mode.kind !== 'no-idempotency' ? request.idempotencyKey : undefined;
  const fingerprint = toFingerprint(request.arrived);
  const known = key === undefined ? undefined : answerOfKey(ports, key, fingerprint, mode);
  if (known) return known.replayed ? deliveryOf(ports, mode, known.answer) : toAnswer(known.answer);
  if (mode.kind === 'reject-before-commit') return toAnswer(cardDeclined);
  if (key !== undefined) ports.keys.begin(key);
  try {
    if (mode.kind === 'late-commit') await ports.delay(mode.delayMs ?? defaultDelayMs);
    const draft = operation.draft(mode);
    if (draft.kind === 'refusal') return toAnswer(draft.answer);
    const effect =
      mode.kind === '500-after' ? { ...draft.effect, answer: stickyError } : draft.effect;
    ports.commit({
      kind: mode.kind === 'pending' ? 'acceptance' : 'receipt',
      ...effect,
      ...(request.idempotencyKey !== undefined && { idempotencyKey: request.idempotencyKey }),
      ...(key !== undefined && { keyFingerprint: fingerprint }),
    });
    await ports.synced();
    await ports.beforeAnswer(effect, mode);
    return await deliveryOf(ports, mode, effect.answer);
  } finally {
    if (key !== undefined) ports.keys.end(key);
  }
}

const defaultDelayMs = 1_000;
const cardDeclined = refusal(
  400,
  'card_declined',
  'Declined. The request was not executed.',
  false,
);
const stickyError = refusal(500, 'internal_error', 'Something went wrong.');

function toFingerprint({ method, url, body }: ArrivedRequest): string {
  return sha256(`${method} ${url.pathname}\n${body}`);
}

function toAnswer(answer: Answer): Delivery {
  return { kind: 'answer', answer };
}

function answerOfKey(
  ports: PerformPorts,
  key: string,
  fingerprint: string,
  mode: ActiveMode,
): { answer: Answer; replayed: boolean } | undefined {
  const maxAgeMs = mode.kind === 'key-expiry' ? (mode.maxAgeMs ?? 0) : Infinity;
  const state = ports.keys.look(key, fingerprint, maxAgeMs);
  switch (state.kind) {
    case 'free':
      return undefined;
    case 'inFlight':
      return { answer: keyInFlight, replayed: false };
    case 'otherRequest':
      return { answer: keyReused(ports.mismatchStatus), replayed: false };
    case 'answered': {
      const headers = { ...state.answer.headers, 'idempotent-replayed': 'true' };
      return { answer: { ...state.answer, headers }, replayed: true };
    }
  }
}

function keyReused(status: number): Answer {
  return refusal(status, 'key_reused', 'This key was used before, with another request.');
}

async function deliveryOf(
  ports: PerformPorts,
  mode: ActiveMode,
  answer: Answer,
): Promise<Delivery> {
  switch (mode.kind) {
    case 'slow':
      await ports.delay(mode.delayMs ?? defaultDelayMs);
      return { kind: 'answer', answer };
    case 'commit-then-hang':
      return { kind: 'hang' };
    case 'commit-then-reset':
      return { kind: 'reset' };
    case 'reset-mid-body':
      return { kind: 'cut', answer };
    default:
      return { kind: 'answer', answer };
  }
}
