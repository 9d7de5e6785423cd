// Rotation: every run's data key is wrapped anew by the current key-encryption key; bodies stay as they are.
import type { ClientContext } from './context.ts';
import { EncryptionRefusedError } from './errors.ts';

export interface RotateOptions {
  readonly onProgress?: ((rewrapped: number) => void) | undefined;
  /** Stops behind the key at hand; what is reported then is what was done. */
  readonly signal?: AbortSignal | undefined;
}

export interface RotationReport {
  readonly currentKeyId: string;
  /** Data keys that were wrapped by an older key and are not any more, of all tenants. */
  readonly rewrapped: number;
  /** Data keys that still name an older key: somebody wrote with it meanwhile, so repeat the command. */
  readonly remaining: number;
}

interface WrappedRow {
  readonly tenant: string;
  readonly runKey: string;
  readonly keyId: string;
  readonly kekId: string;
  readonly wrapped: Buffer;
}

const BATCH = 200;

/** See PawlClient.rotateKeys. A statement per key: cut off anywhere, the next call goes on. */
export async function rotateKeys(
  context: ClientContext,
  { onProgress, signal }: RotateOptions = {},
): Promise<RotationReport> {
  const { database, keys } = context;
  if (!keys) {
    const why = 'No keys are configured: set PAWL_ENCRYPTION_KEYS, the new key first.';
    throw new EncryptionRefusedError('Encryption.Off', why);
  }
  let rewrapped = 0;
  let after = '';
  for (;;) {
    const page: WrappedRow[] = await database.query<WrappedRow>(
      `select tenant, run_key as "runKey", key_id as "keyId", kek_id as "kekId", wrapped from pawl.run_keys
       where kek_id <> $1 and wrapped is not null and key_id > $2 order by key_id limit ${BATCH}`,
      [keys.currentKeyId, after],
    );
    for (const row of page) {
      if (signal?.aborted) break;
      rewrapped += await rewrap(context, keys, row);
      onProgress?.(rewrapped);
    }
    after = page.at(-1)?.keyId ?? after;
    if (page.length < BATCH || signal?.aborted) break;
  }
  const [left] = await database.query<{ count: number }>(
    'select count(*) as count from pawl.run_keys where kek_id <> $1 and wrapped is not null',
    [keys.currentKeyId],
  );
  return { currentKeyId: keys.currentKeyId, rewrapped, remaining: left?.count ?? 0 };
}

async function rewrap(
  { database }: ClientContext,
  keys: NonNullable<ClientContext['keys']>,
  { tenant, runKey, keyId, kekId, wrapped }: WrappedRow,
): Promise<number> {
  const context = { tenant, scope: runKey };
  const dataKey = await keys.unwrap({ keyId: kekId, wrapped }, context);
  const fresh = await keys.wrap(dataKey, context);
  // An erasure meanwhile wins.
  const changed = await database.query(
    `update pawl.run_keys set kek_id = $2, wrapped = $3 where key_id = $1 and wrapped = $4 returning 1`,
    [keyId, fresh.keyId, fresh.wrapped, wrapped],
  );
  return changed.length;
}
