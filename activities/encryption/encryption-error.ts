// What can be wrong with keys and ciphertexts, in words that name the key and never a secret.

export type EncryptionErrorCode =
  /** The configuration's keys cannot be read. */
  | 'Encryption.KeysInvalid'
  /** A key-encryption key that is not configured. */
  | 'Encryption.KeyUnknown'
  /** A configured key that does not fit. */
  | 'Encryption.KeyRefused'
  /** A ciphertext that was changed, or moved to another place. */
  | 'Encryption.Tampered'
  /** Keys are set, and something in Temporal's history is not encrypted. */
  | 'Encryption.Plaintext'
  /** Encrypted data, and no keys at all. */
  | 'Encryption.Off';

/** Nothing was decrypted, and nothing was written in the clear instead. */
export class EncryptionError extends Error {
  readonly code: EncryptionErrorCode;
  constructor(code: EncryptionErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'EncryptionError';
    this.code = code;
  }
}

/** Holds across realms and duplicate installs. */
export function isEncryptionError(error: unknown): error is EncryptionError {
  return (
    typeof error === 'object' &&
    error !== null &&
    'name' in error &&
    error.name === 'EncryptionError'
  );
}
