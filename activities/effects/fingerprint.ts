// The hashes of the ledger: canonical arguments, identities, wire keys and short ids (none of this fits the sandbox).
import { createHash, createHmac } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Json } from '../../domain/rules/json.ts';

/** SHA-256, in hex, of the canonical JSON (RFC 8785). Throws a `TypeError` for what JSON cannot hold. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/** Canonical JSON (RFC 8785). `undefined` is no value: it never inherits the hash of another. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('undefined has no canonical JSON');
  return text;
}

/** What JSON makes of a value: what the ledger stores is what a replay returns. */
export function toJson(value: unknown): Json {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as Json);
}

/** The key on the wire: UUID-shaped (every receiver takes it), derived once from the effect id, leaks no tenant. */
export function wireKey(secret: Buffer, effectId: string): string {
  const hex = createHmac('sha256', secret).update(effectId).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`, // version 8: custom
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

// Crockford's base 32: no letter is taken for another when read out on the phone.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const SHORT_ID_LENGTH = 16;

/** `ef_` or `ap_` and 16 letters (80 bits) of the id's hash: what people type. */
export function shortId(prefix: 'ef' | 'ap', id: string): string {
  const bytes = createHash('sha256').update(id).digest();
  let bits = '';
  for (const byte of bytes.subarray(0, 10)) bits += byte.toString(2).padStart(8, '0');
  let text = '';
  for (let at = 0; at < SHORT_ID_LENGTH * 5; at += 5) {
    text += ALPHABET[Number.parseInt(bits.slice(at, at + 5), 2)];
  }
  return `${prefix}_${text}`;
}
