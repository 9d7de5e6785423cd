// The client's way to PostgreSQL: plain statements, one transaction, and errors that name the database and the next step.
import pg from 'pg';
import {
  type BodyDoor,
  createBodyDoor,
  isEncryptionError,
  type KeyProvider,
  type Statement,
} from '../activities/encryption/encryption.ts';
import {
  DatabaseDeniedError,
  DatabaseNotMigratedError,
  DatabaseUnreachableError,
  EncryptionRefusedError,
  NotConfiguredError,
} from './errors.ts';
import { toPrintableAddress } from './settings.ts';

/** Runs one statement. */
export type Query = <Row>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

export interface Database {
  /** Host, port and name: never the password. */
  readonly address: string;
  readonly query: Query;
  /** Commits what `work` did, or nothing. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

// Counters, token counts and minor units stay far below 2^53.
const INT8_OID = 20;
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    return oid === INT8_OID ? Number : pg.types.getTypeParser(oid, format);
  },
} as pg.CustomTypesConfig;

// Counts the wait for a free connection, too: a burst of starts has to wait its turn, not to fail.
const CONNECT_TIMEOUT_MS = 30_000;

/**
 * Opens a small pool; connections are made when first needed. Without a URL every use throws NotConfiguredError. Bodies
 * are sealed and opened with `keys`; without them, sealed ones are shown as such.
 */
export function openDatabase(url: string | undefined, keys?: KeyProvider): Database {
  if (!url) return unsetDatabase();
  const address = toPrintableAddress(url);
  const pool = createPool(url, address);
  // Without a listener a restart of PostgreSQL ends the process.
  pool.on('error', () => undefined);
  const door = createBodyDoor({ keys, whenLocked: 'show' });
  return {
    address,
    query: (text, values) => guarded(address, () => run(door, pool, text, values)),
    transaction: (work) => guarded(address, () => transact(door, pool, work)),
    close: () => pool.end(),
  };
}

function unsetDatabase(): Database {
  const refuse = (): Promise<never> => Promise.reject(new NotConfiguredError());
  return { address: 'nowhere', query: refuse, transaction: refuse, close: () => Promise.resolve() };
}

function createPool(url: string, address: string): pg.Pool {
  if (!/^(postgres|postgresql|socket):\/\/|^\//.test(url)) {
    const why = 'DATABASE_URL is not an address such as postgres://user@host:5432/name';
    throw new DatabaseUnreachableError(address, why);
  }
  try {
    return new pg.Pool({
      connectionString: url,
      max: 4,
      types,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'pawl-client',
    });
  } catch (error) {
    throw new DatabaseUnreachableError(address, `DATABASE_URL is malformed (${messageOf(error)})`);
  }
}

async function run<Row>(
  door: BodyDoor,
  on: pg.Pool | pg.PoolClient,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const statement: Statement = async <Each>(asked: string, given: readonly unknown[]) =>
    (await on.query<pg.QueryResultRow>(asked, [...given])).rows as Each[];
  return door.open(
    statement,
    await statement<Row>(text, await door.seal(statement, values)),
    values,
  );
}

async function transact<T>(
  shared: BodyDoor,
  pool: pg.Pool,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  // The pool's listener is off while a client is lent out: a broken connection would end the process.
  client.on('error', ignore);
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const door = shared.begin();
    const result = await work((text, values) => run(door, client, text, values));
    await client.query('commit');
    door.keep();
    return result;
  } catch (error) {
    await client.query('rollback').catch((failed: Error) => (broken = failed));
    throw error;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

/** Whoever waits on the connection gets the error as well. */
const ignore = (): void => undefined;

async function guarded<T>(address: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toClientError(address, error);
  }
}

const CONNECTION_CODE = /^(08...|53...|57P..|E(CONN|PIPE|TIMEDOUT|HOST|NET|AI_)\w*|ENOTFOUND)$/;
const CONNECTION_MESSAGE =
  /Connection terminated|connection error|timeout exceeded when|Cannot use a pool after calling end/;
// Table, schema, column, database.
const MISSING = new Set(['42P01', '3F000', '42703', '3D000']);
const DENIED = new Set(['42501', '28000', '28P01']);

/** Turns what PostgreSQL or the socket said into an error that a user understands; anything else stays as it is. */
export function toClientError(address: string, error: unknown): unknown {
  const code = codeOf(error);
  const message = messageOf(error);
  if (isEncryptionError(error)) return new EncryptionRefusedError(error.code, message, error);
  if (MISSING.has(code)) return new DatabaseNotMigratedError(address, message, error);
  if (DENIED.has(code)) return new DatabaseDeniedError(address, message, error);
  if (isSocketError(error) || CONNECTION_CODE.test(code) || CONNECTION_MESSAGE.test(message)) {
    return new DatabaseUnreachableError(address, message || code, error);
  }
  return error;
}

/** Whatever the system said of a socket: a path that is none, a port that is closed, a network that is gone. */
function isSocketError(error: unknown): boolean {
  const call = typeof error === 'object' && error !== null && 'syscall' in error && error.syscall;
  return call === 'connect' || call === 'getaddrinfo' || call === 'read' || call === 'write';
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return String(error.code);
}

// Node's AggregateError (a host with two addresses) has a code but no message.
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || codeOf(error) : String(error);
}
