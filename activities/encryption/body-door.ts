// The one door through which bodies go into statements and come out of rows: sealed there, opened here, nowhere else.
import type { Json } from '../../domain/rules/json.ts';
import { EncryptionError } from './encryption-error.ts';
import { isMarked, open, type Envelope, parseEnvelope, seal, tampered } from './envelope.ts';
import type { KeyProvider } from './key-provider.ts';
import { createRunKeys, type FoundKey, type RunKeys, type Statement } from './run-keys.ts';
import { Body, type BodyOwner, Secret } from './sealed-body.ts';

export interface BodyDoor {
  /** The statement's parameters with every `Body` sealed, or in the clear where encryption is off. */
  seal(statement: Statement, values: readonly unknown[]): Promise<unknown[]>;
  /**
   * The rows with every sealed body opened; what was erased is null. A body is refused in the row of another run: one
   * that says whose it is, or else one that was asked for by a run key among `values`.
   */
  open<Row>(statement: Statement, rows: Row[], values?: readonly unknown[]): Promise<Row[]>;
  /** For one transaction; `keep` when it has committed. */
  begin(): BodyDoor & { keep(): void };
}

/** What to do with a sealed body where no keys are configured. */
export type WhenLocked = 'throw' | 'show';

/** What people see of a body that they have no keys for. */
export const LOCKED_TEXT = '(encrypted: set PAWL_ENCRYPTION_KEYS)';

export interface BodyDoorOptions {
  /** @default none: bodies are written in the clear, and sealed ones cannot be read */
  readonly keys?: KeyProvider | undefined;
  /** The engine throws; a client shows that there is something. @default 'throw' */
  readonly whenLocked?: WhenLocked;
}

export function createBodyDoor({ keys, whenLocked = 'throw' }: BodyDoorOptions = {}): BodyDoor {
  return doorOf(createRunKeys(keys), keys !== undefined, whenLocked);
}

function doorOf(keys: RunKeys, isOn: boolean, whenLocked: WhenLocked): BodyDoor {
  return {
    seal: (statement, values) => sealAll(isOn ? keys : undefined, whenLocked, statement, values),
    open: (statement, rows, values = []) => openAll(keys, whenLocked, statement, rows, values),
    begin() {
      const own = keys.begin();
      return { ...doorOf(own, isOn, whenLocked), keep: () => own.keep() };
    },
  };
}

async function sealAll(
  keys: RunKeys | undefined,
  whenLocked: WhenLocked,
  statement: Statement,
  values: readonly unknown[],
): Promise<unknown[]> {
  if (!keys && whenLocked === 'throw') return values.map(valueInTheClear);
  const sealed: unknown[] = [];
  // One after the other: the connection is one.
  for (const value of values) {
    if (value instanceof Body) sealed.push(await sealBody(keys, whenLocked, statement, value));
    else if (Array.isArray(value) && value.some((item) => item instanceof Body)) {
      sealed.push(await sealAll(keys, whenLocked, statement, value));
    } else sealed.push(value);
  }
  return sealed;
}

async function sealBody(
  keys: RunKeys | undefined,
  whenLocked: WhenLocked,
  statement: Statement,
  body: Body,
): Promise<string | Buffer> {
  if (!keys) {
    if (whenLocked === 'show') await refuseEncryptedRun(statement, body.owner);
    return inTheClear(body);
  }
  const { owner, shape, place } = body;
  switch (shape.kind) {
    case 'text': {
      const key = await keys.toWrite(statement, owner);
      return seal(key, place, Buffer.from(JSON.stringify(shape.text)));
    }
    case 'bytes': {
      const key = await keys.toWrite(statement, owner);
      return Buffer.from(seal(key, place, shape.bytes));
    }
    case 'json':
      return sealJson(keys, statement, owner, shape.value);
  }
}

async function sealJson(
  keys: RunKeys,
  statement: Statement,
  owner: BodyOwner,
  value: unknown,
): Promise<string> {
  const sealed = new Map<Secret, string>();
  for (const secret of secretsIn(value)) {
    const key = await keys.toWrite(statement, secret.owner ?? owner);
    const plain = Buffer.from(JSON.stringify(secret.value));
    sealed.set(secret, seal(key, secret.place, plain));
  }
  return toJsonText(value, (secret) => sealed.get(secret) ?? null);
}

function secretsIn(value: unknown): readonly Secret[] {
  if (value instanceof Secret) return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(secretsIn);
}

function valueInTheClear(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(valueInTheClear);
  return value instanceof Body ? inTheClear(value) : value;
}

function inTheClear({ shape }: Body): string | Buffer {
  switch (shape.kind) {
    case 'text':
      return shape.text;
    case 'bytes':
      return shape.bytes;
    case 'json':
      return toJsonText(shape.value, ({ value }) => value);
  }
}

function toJsonText(value: unknown, change: (secret: Secret) => Json): string {
  return JSON.stringify(replaceSecrets(value, change));
}

/** Before `JSON.stringify`, which would ask a secret for its `toJSON`. */
function replaceSecrets(value: unknown, change: (secret: Secret) => Json): unknown {
  if (value instanceof Secret) return change(value);
  if (Array.isArray(value)) return value.map((item) => replaceSecrets(item, change));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const members = Object.entries(value).map(([name, member]) => [
    name,
    replaceSecrets(member, change),
  ]);
  return Object.fromEntries(members) as Record<string, unknown>;
}

/** A client without keys must not put plain words beside a run's sealed ones. */
async function refuseEncryptedRun(statement: Statement, owner: BodyOwner): Promise<void> {
  const rows = await statement<{ kek_id: string }>(
    'select kek_id from pawl.run_keys where tenant = $1 and run_key = $2',
    [owner.tenant, owner.runKey],
  );
  const [row] = rows;
  if (row) throw locked(owner.runKey, row.kek_id);
}

function locked(runKey: string, kekId: string): EncryptionError {
  return new EncryptionError(
    'Encryption.Off',
    `${runKey} is encrypted under the key "${kekId}", and no keys are configured here: set PAWL_ENCRYPTION_KEYS.`,
  );
}

type Place = readonly [holder: Record<string, unknown> | unknown[], at: string | number];

interface Found {
  readonly place: Place;
  readonly row: Readonly<Record<string, unknown>>;
  readonly column: string;
  readonly envelope: Envelope;
  readonly isBytes: boolean;
}

async function openAll<Row>(
  keys: RunKeys,
  whenLocked: WhenLocked,
  statement: Statement,
  rows: Row[],
  values: readonly unknown[],
): Promise<Row[]> {
  const found: Found[] = [];
  for (const row of rows as Record<string, unknown>[]) {
    for (const column of Object.keys(row)) collect(found, row, column, [row, column]);
  }
  if (found.length === 0) return rows;
  const asked = values.filter(isRunKey);
  const ids = [...new Set(found.map(({ envelope }) => envelope.keyId))];
  const held = await keys.toRead(statement, ids);
  for (const each of found) {
    const key = held.get(each.envelope.keyId) ?? { kind: 'unknown' };
    if (key.kind === 'unknown') continue;
    const [holder, at] = each.place;
    (holder as Record<string | number, unknown>)[at] = openOne(key, each, asked, whenLocked);
  }
  return rows;
}

function collect(found: Found[], row: Record<string, unknown>, column: string, place: Place): void {
  const [holder, at] = place;
  const value = (holder as Record<string | number, unknown>)[at];
  if (typeof value === 'string' || Buffer.isBuffer(value)) {
    const isBytes = typeof value !== 'string';
    const text = isBytes ? markedText(value) : value;
    const envelope = parseEnvelope(text);
    if (envelope) found.push({ place, row, column, envelope, isBytes });
    return;
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) return;
  const inner = value as Record<string, unknown>;
  for (const name of Object.keys(inner)) collect(found, row, column, [inner, name]);
}

const MARK_BYTES = 32;

function markedText(bytes: Buffer): string {
  return isMarked(bytes.toString('latin1', 0, MARK_BYTES)) ? bytes.toString('latin1') : '';
}

function openOne(
  found: Exclude<FoundKey, { kind: 'unknown' }>,
  { envelope, isBytes, row, column }: Found,
  asked: readonly string[],
  whenLocked: WhenLocked,
): unknown {
  if (found.kind === 'erased') return isBytes ? Buffer.alloc(0) : null;
  if (found.kind === 'locked') {
    if (whenLocked === 'throw') throw locked(found.runKey, found.kekId);
    return isBytes ? Buffer.from(LOCKED_TEXT) : LOCKED_TEXT;
  }
  const { key } = found;
  const isHere = isPlacedIn(column, row, asked, key, envelope.place);
  if (!isHere) throw tampered(key.runKey, envelope.place);
  const plain = open(key, envelope);
  return isBytes ? plain : (JSON.parse(plain.toString('utf8')) as unknown);
}

/** As the client mints them; a plain workflow may have others. */
function isRunKey(value: unknown): value is string {
  return typeof value === 'string' && /^run_[0-9A-Z]{26}$/.test(value);
}

/** Columns that hold bodies. A query may call one otherwise, or put another run's row into a column of its own. */
const BODY_COLUMNS = new Set([
  ...['input', 'output', 'result', 'stuck_cause', 'forked_from', 'text', 'parts', 'salt'],
  ...['arguments', 'message', 'summary', 'reason', 'output_problem', 'data', 'evidence'],
  ...['url', 'headers', 'body', 'description', 'answer', 'problem', 'model_wait'],
]);

/** One body must not show in another's column, nor in the row of another run. */
function isPlacedIn(
  name: string,
  row: Readonly<Record<string, unknown>>,
  asked: readonly string[],
  owner: BodyOwner,
  place: string,
): boolean {
  const column = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  if (!BODY_COLUMNS.has(column)) return true;
  const runKey = row['run_key'] ?? row['runKey'];
  const { tenant } = row;
  return (
    place.endsWith(`.${column}`) &&
    (typeof runKey === 'string'
      ? runKey === owner.runKey
      : asked.length === 0 || asked.includes(owner.runKey)) &&
    (typeof tenant !== 'string' || tenant === owner.tenant)
  );
}
