// The data keys of runs: minted when a run's first body is written, stored wrapped, gone when the run is erased.
import { randomBytes } from 'node:crypto';
import { DATA_KEY_BYTES, type DataKey } from './envelope.ts';
import type { KeyProvider } from './key-provider.ts';
import type { BodyOwner } from './sealed-body.ts';

/** One statement on the connection at hand. */
export type Statement = <Row>(text: string, values: readonly unknown[]) => Promise<Row[]>;

/** What became of a key id that stands in an envelope. */
export type FoundKey =
  | { readonly kind: 'key'; readonly key: DataKey }
  /** The run was erased: its bodies are noise for ever. */
  | { readonly kind: 'erased' }
  /** Nobody has written it: the text only looks like an envelope. */
  | { readonly kind: 'unknown' }
  /** There are no key-encryption keys here. */
  | { readonly kind: 'locked'; readonly kekId: string; readonly runKey: string };

export interface RunKeys {
  /** The key that new bodies of the run are sealed with; minted when there is none. */
  toWrite(statement: Statement, owner: BodyOwner): Promise<DataKey>;
  toRead(statement: Statement, keyIds: readonly string[]): Promise<ReadonlyMap<string, FoundKey>>;
  /** For one transaction: what it mints is known to others only after `keep`, when it has committed. */
  begin(): RunKeys & { keep(): void };
}

interface KeyRow {
  tenant: string;
  run_key: string;
  key_id: string;
  kek_id: string;
  wrapped: Buffer | null;
}

const CACHE_MAX = 2_000;

/** Without a provider nothing can be written, and whatever is sealed is `locked`. */
export function createRunKeys(provider: KeyProvider | undefined): RunKeys {
  const shared = createCache();
  return withCache(provider, shared, (key) => shared.add(key));
}

/** `addMinted` takes a key whose row may yet be rolled back; all others are committed. */
function withCache(
  provider: KeyProvider | undefined,
  shared: Cache,
  addMinted: (key: DataKey) => void,
  minted: Pick<Cache, 'byOwner' | 'byId'> = createCache(),
): RunKeys {
  const cache: Cache = {
    byOwner: (owner) => minted.byOwner(owner) ?? shared.byOwner(owner),
    byId: (id) => minted.byId(id) ?? shared.byId(id),
    add: (key) => shared.add(key),
  };
  return {
    async toWrite(statement, owner) {
      const known = cache.byOwner(owner);
      if (known) return known;
      if (!provider) throw new Error('no key provider: nothing can be sealed');
      return (
        (await find(provider, cache, statement, owner)) ??
        (await mint(provider, cache, statement, owner, addMinted))
      );
    },
    toRead: (statement, keyIds) => read(provider, cache, statement, keyIds),
    begin() {
      const own = createCache();
      const kept: DataKey[] = [];
      const add = (key: DataKey): void => {
        own.add(key);
        kept.push(key);
      };
      const keys = withCache(provider, shared, add, own);
      return { ...keys, keep: () => kept.forEach((key) => shared.add(key)) };
    },
  };
}

const SELECT = 'select tenant, run_key, key_id, kek_id, wrapped from pawl.run_keys';

async function find(
  provider: KeyProvider,
  cache: Cache,
  statement: Statement,
  { tenant, runKey }: BodyOwner,
): Promise<DataKey | undefined> {
  const [row] = await statement<KeyRow>(`${SELECT} where tenant = $1 and run_key = $2`, [
    tenant,
    runKey,
  ]);
  if (!row) return undefined;
  const key = await fromRow(provider, row);
  if (row.wrapped) cache.add(key);
  return key;
}

async function mint(
  provider: KeyProvider,
  cache: Cache,
  statement: Statement,
  owner: BodyOwner,
  addMinted: (key: DataKey) => void,
): Promise<DataKey> {
  const { tenant, runKey } = owner;
  const id = randomBytes(12).toString('base64url');
  const key: DataKey = { id, tenant, runKey, bytes: randomBytes(DATA_KEY_BYTES) };
  const { keyId, wrapped } = await provider.wrap(key.bytes, { tenant, scope: runKey });
  const inserted = await statement<{ key_id: string }>(
    `insert into pawl.run_keys (tenant, run_key, key_id, kek_id, wrapped) values ($1, $2, $3, $4, $5)
     on conflict (tenant, run_key) do nothing returning key_id`,
    [tenant, runKey, key.id, keyId, wrapped],
  );
  if (inserted.length > 0) {
    addMinted(key);
    return key;
  }
  const other = await find(provider, cache, statement, owner);
  if (!other) throw new Error(`The data key of ${runKey} is neither new nor there`);
  return other;
}

/** Of an erased run: a key that nobody keeps, so that what comes late is written and can never be read. */
async function fromRow(provider: KeyProvider, row: KeyRow): Promise<DataKey> {
  const { tenant, run_key: runKey, key_id: id, kek_id: keyId, wrapped } = row;
  const bytes = wrapped
    ? await provider.unwrap({ keyId, wrapped }, { tenant, scope: runKey })
    : randomBytes(DATA_KEY_BYTES);
  return { id, tenant, runKey, bytes };
}

async function read(
  provider: KeyProvider | undefined,
  cache: Cache,
  statement: Statement,
  keyIds: readonly string[],
): Promise<ReadonlyMap<string, FoundKey>> {
  const found = new Map<string, FoundKey>();
  const missing = keyIds.filter((id) => {
    const key = cache.byId(id);
    if (key) found.set(id, { kind: 'key', key });
    return !key;
  });
  if (missing.length === 0) return found;
  const rows = await statement<KeyRow>(`${SELECT} where key_id = any($1)`, [missing]);
  for (const row of rows) found.set(row.key_id, await toFound(provider, cache, row));
  for (const id of missing) if (!found.has(id)) found.set(id, { kind: 'unknown' });
  return found;
}

async function toFound(
  provider: KeyProvider | undefined,
  cache: Cache,
  row: KeyRow,
): Promise<FoundKey> {
  if (!row.wrapped) return { kind: 'erased' };
  if (!provider) return { kind: 'locked', kekId: row.kek_id, runKey: row.run_key };
  const key = await fromRow(provider, row);
  cache.add(key);
  return { kind: 'key', key };
}

interface Cache {
  byOwner(owner: BodyOwner): DataKey | undefined;
  byId(id: string): DataKey | undefined;
  add(key: DataKey): void;
}

/** The oldest go first. */
function createCache(): Cache {
  const byId = new Map<string, DataKey>();
  const byOwner = new Map<string, DataKey>();
  return {
    byOwner: (owner) => byOwner.get(ownerId(owner)),
    byId: (id) => byId.get(id),
    add(key) {
      byId.set(key.id, key);
      byOwner.set(ownerId(key), key);
      const [oldest] = byId.values();
      if (byId.size <= CACHE_MAX || !oldest) return;
      byId.delete(oldest.id);
      byOwner.delete(ownerId(oldest));
    },
  };
}

function ownerId({ tenant, runKey }: BodyOwner): string {
  return JSON.stringify([tenant, runKey]);
}
