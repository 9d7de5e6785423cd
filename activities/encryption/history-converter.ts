// The data converter of a worker or a client whose histories are encrypted: the codec, and failures without plain words.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import type { KeyProvider } from './key-provider.ts';
import { type CodecMode, createPayloadCodec } from './payload-codec.ts';

export interface HistoryEncryption {
  readonly keys: KeyProvider;
  /** Whose key wraps what this process writes. */
  readonly tenant: string;
  /** What is read, and how it is written. @default 'any' */
  readonly mode?: CodecMode;
}

/** For clients and replay; a worker takes `failureConverterPath` with it. */
export function createHistoryConverter({
  keys,
  tenant,
  mode,
}: HistoryEncryption): Pick<DataConverter, 'payloadCodecs'> {
  return { payloadCodecs: [createPayloadCodec(keys, tenant, mode)] };
}

/** Whose failures carry no plain words. By path, because Temporal's sandbox bundles it: TypeScript in a checkout, JavaScript in the package. */
export function failureConverterPath(): string {
  const source = fileURLToPath(new URL('../../workflows/failure-converter.ts', import.meta.url));
  return existsSync(source) ? source : source.replace(/\.ts$/, '.js');
}
