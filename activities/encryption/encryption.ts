// The door of this folder: all that workers and clients use of encryption.
export {
  type BodyDoor,
  type BodyDoorOptions,
  createBodyDoor,
  LOCKED_TEXT,
  type WhenLocked,
} from './body-door.ts';
export {
  EncryptionError,
  type EncryptionErrorCode,
  isEncryptionError,
} from './encryption-error.ts';
export {
  createHistoryConverter,
  failureConverterPath,
  type HistoryEncryption,
} from './history-converter.ts';
export {
  createConfiguredKeys,
  toKeys,
  type KeyContext,
  type KeyProvider,
  type WrappedKey,
} from './key-provider.ts';
export { createPayloadCodec, HISTORY_ENCODING } from './payload-codec.ts';
export type { Statement } from './run-keys.ts';
export {
  type Body,
  type BodyOwner,
  bytesBody,
  jsonBody,
  partlySecret,
  Secret,
  secretMembers,
  textBody,
} from './sealed-body.ts';
