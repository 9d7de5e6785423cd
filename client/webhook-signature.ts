// Verifies Standard Webhooks 1.0 signatures (v1, HMAC-SHA256): pure over the request's headers, its bytes and the time.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { ArgumentInvalidError } from './errors.ts';

export type Verdict =
  | { readonly kind: 'genuine'; readonly id: string }
  /** Why, without a word of what was sent. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Judges one message; `nowMs` is the time of its arrival, epoch milliseconds. */
export type VerifyWebhook = (headers: Headers, body: Uint8Array, nowMs: number) => Verdict;

/** So old, or so far ahead, may a message be. */
export const WEBHOOK_TOLERANCE_MS = 300_000;
const ID_MAX = 256;
// What the specification asks of a secret.
const SECRET_BYTES = { min: 24, max: 64 };

/** A message is genuine when one of the secrets has signed it. Throws ArgumentInvalidError for what is no secret. */
export function createWebhookVerifier(name: string, secrets: readonly string[]): VerifyWebhook {
  if (secrets.length === 0) throw new ArgumentInvalidError(`${name}: no secret is given.`);
  const keys = secrets.map((secret) => toKey(name, secret));
  return (headers, body, nowMs) => {
    const id = headers.get('webhook-id') ?? '';
    const timestamp = headers.get('webhook-timestamp') ?? '';
    const signatures = headers.get('webhook-signature') ?? '';
    if (id === '' || timestamp === '' || signatures === '') return refuse('a header is missing');
    if (id.length > ID_MAX) return refuse('webhook-id is too long');
    if (!/^\d{1,12}$/.test(timestamp)) return refuse('webhook-timestamp is no time');
    if (Math.abs(nowMs - Number(timestamp) * 1_000) > WEBHOOK_TOLERANCE_MS) {
      return refuse('webhook-timestamp is not within 5 minutes of now');
    }
    const given = readSignatures(signatures);
    const isGenuine = keys
      .map((key) => createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest())
      .some((own) => given.some((one) => timingSafeEqual(own, one)));
    return isGenuine ? { kind: 'genuine', id } : refuse('no signature matches');
  };
}

function refuse(reason: string): Verdict {
  return { kind: 'refused', reason };
}

const SIGNATURE_BYTES = 32;

/** Several while a secret is rotated; of versions that are not `v1` nothing is known. */
function readSignatures(header: string): readonly Buffer[] {
  return header
    .split(' ')
    .filter((one) => one.startsWith('v1,'))
    .map((one) => Buffer.from(one.slice('v1,'.length), 'base64'))
    .filter((bytes) => bytes.length === SIGNATURE_BYTES);
}

function toKey(name: string, secret: string): Buffer {
  const text = secret.replace(/^whsec_/, '');
  const key = Buffer.from(text, 'base64');
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  if (!isBase64 || key.length < SECRET_BYTES.min || key.length > SECRET_BYTES.max) {
    // The secret itself stays out of messages and logs.
    throw new ArgumentInvalidError(
      `${name}: a secret is whsec_ and the base64 of ${SECRET_BYTES.min} to ${SECRET_BYTES.max} bytes.`,
    );
  }
  return key;
}
