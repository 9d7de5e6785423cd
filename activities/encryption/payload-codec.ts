// What Temporal keeps, encrypted: a payload codec whose data key travels wrapped in every payload, so that only keys are needed.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';
import { EncryptionError } from './encryption-error.ts';
import { DATA_KEY_BYTES } from './envelope.ts';
import type { KeyProvider, WrappedKey } from './key-provider.ts';

/** The `encoding` of an encrypted payload. */
export const HISTORY_ENCODING = 'binary/pawl-encrypted';

/** A key of its own per process and hour: one leaked key opens no other hour's histories. */
const EPOCH_MS = 3_600_000;
const PAYLOADS_PER_EPOCH_MAX = 10_000_000;
const OPENED_MAX = 500;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SCOPE = 'pawl:history';

/**
 * `own`: of workers and clients. What is not encrypted is refused, and so is what was written for another namespace or
 * workflow. `transition`: what is not encrypted is read, and what is written an older build reads. `any`: for replay and
 * the UI, where nobody says whose a payload is.
 */
export type CodecMode = 'own' | 'transition' | 'any';

/** Encodes everything, bound to its namespace and workflow where the SDK names them. @default mode 'any' */
export function createPayloadCodec(
  keys: KeyProvider,
  tenant: string,
  mode: CodecMode = 'any',
): PayloadCodec {
  const context = { tenant, scope: SCOPE };
  let epoch: Promise<Epoch> | undefined;
  let endsAtMs = 0;
  let left = 0;
  const opened = new Map<string, Promise<Buffer>>();
  const current = (): Promise<Epoch> => {
    left -= 1;
    if (epoch && left > 0 && performance.now() < endsAtMs) return epoch;
    endsAtMs = performance.now() + EPOCH_MS;
    left = PAYLOADS_PER_EPOCH_MAX;
    epoch = beginEpoch(keys, tenant);
    // A KMS that did not answer is asked again.
    epoch.catch(() => (epoch = undefined));
    return epoch;
  };
  const unwrap = (key: WrappedKey, owner: string): Promise<Buffer> => {
    const id = `${owner} ${key.keyId} ${key.wrapped.toString('base64')}`;
    const known = opened.get(id);
    if (known) return known;
    const fresh = keys.unwrap(key, { ...context, tenant: owner });
    fresh.catch(() => opened.delete(id));
    opened.set(id, fresh);
    const [oldest] = opened.keys();
    if (opened.size > OPENED_MAX && oldest !== undefined) opened.delete(oldest);
    return fresh;
  };
  return {
    encode: (payloads, context) => {
      const owner = mode === 'transition' ? undefined : toOwner(context);
      return Promise.all(payloads.map(async (payload) => encrypt(await current(), payload, owner)));
    },
    decode: (payloads, context) =>
      Promise.all(
        payloads.map(async (payload) => {
          check(payload, mode, context);
          return decrypt(unwrap, payload);
        }),
      ),
  };
}

interface Epoch {
  readonly tenant: string;
  readonly bytes: Buffer;
  readonly key: WrappedKey;
}

async function beginEpoch(keys: KeyProvider, tenant: string): Promise<Epoch> {
  const bytes = randomBytes(DATA_KEY_BYTES);
  return { tenant, bytes, key: await keys.wrap(bytes, { tenant, scope: SCOPE }) };
}

/** Of what older builds have written, and of what has no owner that the SDK names. */
const UNBOUND = Buffer.from('["pawl history",1]');

/** `["namespace","workflow id"]`, in the clear beside the ciphertext: Temporal knows both. */
function toOwner(context: SerializationContext | undefined): string | undefined {
  if (context?.workflowId === undefined) return undefined;
  return JSON.stringify([context.namespace, context.workflowId]);
}

function aadOf(tenant: string, owner: string | undefined): Buffer {
  if (!owner) return UNBOUND;
  return Buffer.from(JSON.stringify(['pawl history', 2, tenant, owner]));
}

/** Temporal adds the time to the workflow id that a schedule names. */
const SCHEDULED = /-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** Throws `EncryptionError` for what the mode does not read. */
function check(payload: Payload, mode: CodecMode, context: SerializationContext | undefined): void {
  if (mode === 'any') return;
  if (textOf(payload, 'encoding') !== HISTORY_ENCODING) {
    if (mode === 'transition') return;
    throw new EncryptionError(
      'Encryption.Plaintext',
      "A payload in Temporal's history is not encrypted, and keys are set: it is refused. Histories that began in the " +
        'clear are read with PAWL_ENCRYPTION_PLAINTEXT=accept; otherwise a stranger wrote it.',
    );
  }
  const owner = textOf(payload, 'owner');
  if (owner === '' || context?.workflowId === undefined) return;
  const { namespace, workflowId } = context;
  const ids = [workflowId, workflowId.replace(SCHEDULED, '')];
  if (ids.some((id) => owner === JSON.stringify([namespace, id]))) return;
  throw new EncryptionError(
    'Encryption.Tampered',
    `A payload of the workflow "${workflowId}" was encrypted for ${owner}: it was moved here from there.`,
  );
}

function textOf({ metadata }: Payload, name: string): string {
  return Buffer.from(metadata?.[name] ?? []).toString('utf8');
}

function encrypt({ bytes, key, tenant }: Epoch, payload: Payload, owner?: string): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', bytes, nonce).setAAD(aadOf(tenant, owner));
  return {
    metadata: {
      ...(owner ? { owner: Buffer.from(owner) } : {}),
      encoding: Buffer.from(HISTORY_ENCODING),
      kek: Buffer.from(key.keyId),
      key: key.wrapped,
      tenant: Buffer.from(tenant),
    },
    data: Buffer.concat([nonce, cipher.update(pack(payload)), cipher.final(), cipher.getAuthTag()]),
  };
}

async function decrypt(
  unwrap: (key: WrappedKey, tenant: string) => Promise<Buffer>,
  payload: Payload,
): Promise<Payload> {
  const { metadata, data } = payload;
  const text = (name: string): string => textOf(payload, name);
  if (text('encoding') !== HISTORY_ENCODING || !data) return payload;
  const key = { keyId: text('kek'), wrapped: Buffer.from(metadata?.['key'] ?? []) };
  const bytes = await unwrap(key, text('tenant'));
  try {
    const sealed = Buffer.from(data);
    const decipher = createDecipheriv('aes-256-gcm', bytes, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(aadOf(text('tenant'), text('owner')))
      .setAuthTag(sealed.subarray(-TAG_BYTES));
    const body = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
    return unpack(Buffer.concat([decipher.update(body), decipher.final()]));
  } catch (error) {
    throw new EncryptionError(
      'Encryption.Tampered',
      `A payload of Temporal's history, encrypted under "${key.keyId}", was changed.`,
      error,
    );
  }
}

const LENGTH_BYTES = 4;

/** Length of the metadata, metadata as JSON, data as it is: no protobuf, which users may have in several copies. */
function pack({ metadata, data }: Payload): Buffer {
  const entries = Object.entries(metadata ?? {}).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ]);
  const head = Buffer.from(JSON.stringify(entries));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, data ?? Buffer.alloc(0)]);
}

function unpack(packed: Buffer): Payload {
  const end = LENGTH_BYTES + packed.readUInt32BE();
  const head = packed.subarray(LENGTH_BYTES, end).toString('utf8');
  const entries = JSON.parse(head) as readonly (readonly [string, string])[];
  return {
    metadata: Object.fromEntries(
      entries.map(([name, value]) => [name, Buffer.from(value, 'base64')]),
    ),
    data: packed.subarray(end),
  };
}
