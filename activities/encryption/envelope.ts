// The envelope of one body: AES-256-GCM under its run's data key, bound to tenant, run and place. Bytes in, text out.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { EncryptionError } from './encryption-error.ts';

/** A run's data key as it is used: in memory only. */
export interface DataKey {
  /** Random, and in every envelope: what a model or a receiver writes cannot name one. */
  readonly id: string;
  readonly tenant: string;
  readonly runKey: string;
  readonly bytes: Buffer;
}

/** What is written in an envelope. */
export interface Envelope {
  readonly keyId: string;
  /** Table and column, such as `calls.arguments`. */
  readonly place: string;
  readonly data: Buffer;
}

export const DATA_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MARK = 'pawl-sealed:1:';
const FORM = /^pawl-sealed:1:([A-Za-z0-9_-]{16}):([a-z_.]{1,64}):([A-Za-z0-9_-]{38,})$/;

export function isMarked(text: string): boolean {
  return text.startsWith(MARK);
}

/** `pawl-sealed:1:<key>:<place>:<nonce, ciphertext and tag in base64url>`. */
export function seal(key: DataKey, place: string, plain: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce).setAAD(boundTo(key, place));
  const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return `${MARK}${key.id}:${place}:${data.toString('base64url')}`;
}

/** Reads the form only; undefined for a text that is no envelope. */
export function parseEnvelope(text: string): Envelope | undefined {
  // Most texts are none: the pattern would look at all of a long one.
  if (!isMarked(text)) return undefined;
  const [, keyId, place, data] = FORM.exec(text) ?? [];
  if (keyId === undefined || place === undefined || data === undefined) return undefined;
  return { keyId, place, data: Buffer.from(data, 'base64url') };
}

/** Opens; throws `Encryption.Tampered` for what was changed or belongs to another tenant, run or place. */
export function open(key: DataKey, { place, data }: Envelope): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, data.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(boundTo(key, place))
      .setAuthTag(data.subarray(-TAG_BYTES));
    return Buffer.concat([
      decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES)),
      decipher.final(),
    ]);
  } catch (error) {
    throw tampered(key.runKey, place, error);
  }
}

/** The refusal of a body that is not what was written there. */
export function tampered(runKey: string, place: string, cause?: unknown): EncryptionError {
  return new EncryptionError(
    'Encryption.Tampered',
    `The encrypted ${place} of ${runKey} is not what Pawl wrote there: it was changed, or moved here from elsewhere.`,
    cause,
  );
}

function boundTo({ tenant, runKey }: DataKey, place: string): Buffer {
  return Buffer.from(JSON.stringify(['pawl body', tenant, runKey, place]));
}
