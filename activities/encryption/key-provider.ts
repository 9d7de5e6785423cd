// Key-encryption keys: who wraps and unwraps the data keys of runs. Ours come from the configuration, or from your KMS.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { EncryptionError } from './encryption-error.ts';

/** What a wrapped key is bound to: it cannot be unwrapped as the key of anything else. */
export interface KeyContext {
  readonly tenant: string;
  /** The run key, or `pawl:history` for what Temporal keeps. */
  readonly scope: string;
}

export interface WrappedKey {
  /** The id of the key-encryption key that wraps it, such as `k2`. */
  readonly keyId: string;
  readonly wrapped: Buffer;
}

/** The port for a KMS: `wrap` uses the current key, `unwrap` the one that `keyId` names. */
export interface KeyProvider {
  /** The id that new data keys are wrapped with. */
  readonly currentKeyId: string;
  wrap(dataKey: Buffer, context: KeyContext): Promise<WrappedKey>;
  /** Throws `EncryptionError` with `Encryption.KeyUnknown` for a key id that is not configured. */
  unwrap(key: WrappedKey, context: KeyContext): Promise<Buffer>;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Keys from one line of configuration, `k2:<base64>,k1:<base64>`: the first is current, all unwrap. Each is 32 bytes
 * (`openssl rand -base64 32`); a tenant's own key is derived from it. Throws `EncryptionError` for a line that is none.
 */
export function createConfiguredKeys(line: string): KeyProvider {
  const keys = parseKeys(line);
  const [currentKeyId = ''] = keys.keys();
  const find = (keyId: string): Buffer => {
    const key = keys.get(keyId);
    if (key) return key;
    const known = [...keys.keys()].join(', ');
    throw new EncryptionError(
      'Encryption.KeyUnknown',
      `The data is encrypted under the key "${keyId}", and PAWL_ENCRYPTION_KEYS has only: ${known}. ` +
        'Put that key back, behind the current one.',
    );
  };
  return {
    currentKeyId,
    wrap: (dataKey, context) =>
      Promise.resolve({
        keyId: currentKeyId,
        wrapped: wrapWith(tenantKey(find(currentKeyId), context), dataKey, context),
      }),
    // Async: an unknown key is a rejection, as it would be from a KMS.
    unwrap: async ({ keyId, wrapped }, context) =>
      unwrapWith(tenantKey(find(keyId), context), { keyId, wrapped }, context),
  };
}

/** What the configuration holds as keys; undefined: encryption is off. */
export function toKeys(given: string | KeyProvider | undefined): KeyProvider | undefined {
  return typeof given === 'string' ? createConfiguredKeys(given) : given;
}

function parseKeys(line: string): ReadonlyMap<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const entry of line.split(',').map((text) => text.trim())) {
    const at = entry.indexOf(':');
    const keyId = entry.slice(0, at);
    const text = entry.slice(at + 1);
    if (at < 1 || !KEY_ID.test(keyId)) throw invalid('each key is `id:base64`, as in k1:…');
    const key = Buffer.from(text, 'base64');
    if (key.length !== KEY_BYTES || key.toString('base64').replace(/=+$/, '') !== stripped(text)) {
      throw invalid(`the key "${keyId}" is not 32 bytes of base64 (openssl rand -base64 32)`);
    }
    if (keys.has(keyId)) throw invalid(`the key id "${keyId}" is there twice`);
    keys.set(keyId, key);
  }
  return keys;
}

function stripped(base64: string): string {
  return base64.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/');
}

/** Never with the line itself: it is a secret. */
function invalid(what: string): EncryptionError {
  return new EncryptionError(
    'Encryption.KeysInvalid',
    `PAWL_ENCRYPTION_KEYS is not usable: ${what}.`,
  );
}

/** A tenant's own key-encryption key: what is wrapped for one tenant is noise for another. */
function tenantKey(key: Buffer, { tenant }: KeyContext): Buffer {
  return Buffer.from(hkdfSync('sha256', key, 'pawl', `pawl tenant key\0${tenant}`, KEY_BYTES));
}

function wrapWith(key: Buffer, dataKey: Buffer, context: KeyContext): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(context));
  return Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
}

function unwrapWith(key: Buffer, { keyId, wrapped }: WrappedKey, context: KeyContext): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, wrapped.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(boundTo(context))
      .setAuthTag(wrapped.subarray(-TAG_BYTES));
    return Buffer.concat([
      decipher.update(wrapped.subarray(NONCE_BYTES, -TAG_BYTES)),
      decipher.final(),
    ]);
  } catch (error) {
    throw new EncryptionError(
      'Encryption.KeyRefused',
      `The data key of ${context.scope} cannot be unwrapped with the key "${keyId}": the configured key "${keyId}" ` +
        'is not the one that wrapped it, or the row was changed.',
      error,
    );
  }
}

function boundTo({ tenant, scope }: KeyContext): Buffer {
  return Buffer.from(JSON.stringify(['pawl key', tenant, scope]));
}
