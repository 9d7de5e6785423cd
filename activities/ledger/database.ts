// The way to PostgreSQL: one pool, transactions that are safe behind PgBouncer, and errors that name the database.
import pg from 'pg';
import { type BodyDoor, createBodyDoor } from '../encryption/body-door.ts';
import type { KeyProvider } from '../encryption/key-provider.ts';
import type { Statement } from '../encryption/run-keys.ts';
import { messageOfThrown } from '../../domain/rules/thrown.ts';
import { createStatementNames, type StatementNames } from './statement-names.ts';

/** A connection inside a transaction. */
export type Transaction = pg.PoolClient;

// bigint columns (fences, sequences, counts) stay below 2^53 by far: numbers are what the rest of Pawl speaks.
const INT8_OID = 20;
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    if (oid === INT8_OID) return Number;
    return pg.types.getTypeParser(oid, format);
  },
} as pg.CustomTypesConfig;

/** The ledger could not be reached or broke off; what happened to an open transaction is unknown. */
export class LedgerUnavailable extends Error {
  constructor(cause: unknown) {
    super(`The ledger's database does not answer: ${messageOf(cause)}`, { cause });
    this.name = 'LedgerUnavailable';
  }
}

export interface DatabaseOptions {
  readonly url: string;
  /** @default 10 */
  readonly connectionsMax?: number;
  /** Bodies are sealed with them. @default none: they are written in the clear */
  readonly keys?: KeyProvider | undefined;
  /** Told once, when the server or a pooler keeps no prepared statements. @default nobody is */
  readonly warn?: ((message: string) => void) | undefined;
}

export interface TransactionOptions<T> {
  /** `false` lets the commit's flush ride on the next durable one. @default true */
  readonly durable?: boolean;
  /** Called when the commit is on the wire, before its answer is read. */
  readonly whileCommitting?: (result: T) => unknown;
}

export interface QueryOptions {
  /**
   * Runs every turn, with one of few texts: outside of a transaction PostgreSQL parses and plans it once for each
   * connection. List its columns: with `*` a migration that adds one would change its result. @default false
   */
  readonly isPrepared?: boolean;
  /** Called when the statement is on the wire, before its answer is read. */
  readonly whileSending?: () => unknown;
}

/** Statements, each a transaction of its own (committed when it returns), or all inside of one: see `inside`. */
export interface Statements {
  query<Row extends pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<Row[]>;
}

export interface Database extends Statements {
  /** Commits what `work` did, or nothing. */
  transaction<T>(
    work: (tx: Transaction) => Promise<T>,
    options?: TransactionOptions<T>,
  ): Promise<T>;
  close(): Promise<void>;
}

// Counts the wait for a free connection, too.
const CONNECT_TIMEOUT_MS = 30_000;
// Longer than any statement of ours waits for a lock; a connection that went silent is given up then.
const QUERY_TIMEOUT_MS = 10_000;

/** Opens a pool; connections are made when first needed. */
export function openDatabase({ url, connectionsMax = 10, keys, warn }: DatabaseOptions): Database {
  const door = createBodyDoor({ keys });
  const names = createStatementNames({ warn });
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax,
    types,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  // Without a listener a restart of PostgreSQL ends the process.
  pool.on('error', () => undefined);
  return {
    query: (text, values = [], options = {}) =>
      guarded(() => ask({ pool, door, names }, text, values, options)),
    transaction: (work, options) => guarded(() => transact(pool, door, work, options ?? {})),
    close: () => pool.end(),
  };
}

/** The statements of an open transaction: none of them commits, so there is nothing to call while one does. */
export function inside(tx: Transaction): Statements {
  return {
    async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      return (await tx.query<Row>(text, [...values])).rows;
    },
  };
}

interface Way {
  readonly pool: pg.Pool;
  readonly door: BodyDoor;
  readonly names: StatementNames;
}

async function ask<Row extends pg.QueryResultRow>(
  { pool, door, names }: Way,
  text: string,
  values: readonly unknown[],
  options: QueryOptions,
): Promise<Row[]> {
  const client = await pool.connect();
  client.on('error', ignore);
  let broken: Error | undefined;
  try {
    const statement = statementsOf(client);
    const query = { text, values: await door.seal(statement, values) };
    return await door.open(statement, await send<Row>(client, names, query, options), values);
  } catch (error) {
    broken = isConnectionError(error) ? (error as Error) : undefined;
    throw error;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

/** A statement whose name is refused was not executed: it goes again without one. */
async function send<Row extends pg.QueryResultRow>(
  client: pg.PoolClient,
  names: StatementNames,
  query: { readonly text: string; readonly values: unknown[] },
  { isPrepared = false, whileSending }: QueryOptions,
): Promise<Row[]> {
  const name = isPrepared ? await names.nameFor(client, query.text) : undefined;
  const asked = client.query<Row>(name === undefined ? query : { ...query, name });
  // Heard below; a hook that throws first must not leave it unheard.
  asked.catch(ignore);
  await whileSending?.();
  try {
    return (await asked).rows;
  } catch (error) {
    if (name === undefined || !names.isRefused(error)) throw error;
    return (await client.query<Row>(query)).rows;
  }
}

const RETRIES_MAX = 5;

/** The client's own statements, past the door: for the keys themselves. */
function statementsOf(client: pg.PoolClient): Statement {
  return async (text, values) => (await client.query(text, [...values])).rows as never[];
}

/** The same connection with its bodies sealed and opened on the way. A statement as an object is a user's own. */
function behind(door: BodyDoor, client: pg.PoolClient): Transaction {
  const statement = statementsOf(client);
  const query = async (text: unknown, values?: readonly unknown[]): Promise<pg.QueryResult> => {
    if (typeof text !== 'string') return client.query(text as pg.QueryConfig);
    const result = await client.query(text, values && (await door.seal(statement, values)));
    if (Array.isArray(result.rows)) await door.open(statement, result.rows as object[], values);
    return result;
  };
  return Object.create(client, { query: { value: query } }) as Transaction;
}

async function transact<T>(
  pool: pg.Pool,
  shared: BodyDoor,
  work: (tx: Transaction) => Promise<T>,
  { durable = true, whileCommitting }: TransactionOptions<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const client = await pool.connect();
    // The pool's listener is off while a client is lent out: a broken connection would end the process.
    client.on('error', ignore);
    let broken: Error | undefined;
    try {
      await client.query(durable ? 'begin' : "begin; set local synchronous_commit = 'off'");
      const door = shared.begin();
      const result = await work(behind(door, client));
      const committed = client.query('commit');
      // Heard below; a hook that throws first must not leave it unheard.
      committed.catch(ignore);
      await whileCommitting?.(result);
      await committed;
      door.keep();
      return result;
    } catch (error) {
      broken = isConnectionError(error) ? (error as Error) : undefined;
      if (!broken) await client.query('rollback').catch((failed: Error) => (broken = failed));
      if (!isRaceLost(error) || attempt >= RETRIES_MAX) throw error;
    } finally {
      client.off('error', ignore);
      client.release(broken);
    }
  }
}

/** Whoever waits on the connection gets the error as well. */
const ignore = (): void => undefined;

// Unique violation, serialisation failure, deadlock: the other transaction won, and the next look sees its result.
const RACE_LOST = new Set(['23505', '40001', '40P01']);

/** Another transaction won: a look at what it did says how to go on. */
export function isRaceLost(error: unknown): boolean {
  return RACE_LOST.has(codeOf(error));
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isConnectionError(error) ? new LedgerUnavailable(error) : error;
  }
}

// SQLSTATE classes 08 (connection), 53 (resources) and 57 (shutdown); Node's own codes; pg's bare messages.
export function isConnectionError(error: unknown): boolean {
  const code = codeOf(error);
  if (/^(08|53|57P)/.test(code)) return true;
  if (/^E(CONN|PIPE|TIMEDOUT|HOST|NET|AI_)/.test(code) || code === 'ENOTFOUND') return true;
  return /Connection terminated|Client has encountered a connection error|timeout exceeded when|Query read timeout/.test(
    messageOf(error),
  );
}

/**
 * SQLSTATEs about the server and not about what it was asked: connections, logins, resources, shutdowns, a standby, lost
 * races, locks. Waiting helps. Everything else, data errors (22) and constraints (23) above all, is ours.
 */
const SERVERS_TROUBLE = /^(08|28|53|57|58|40)|^(25006|3D000|55P03)$/;

/** Whether a failure is the ledger's: out of reach, or not able to answer now. */
export function isLedgersTrouble(error: unknown): boolean {
  return error instanceof LedgerUnavailable || SERVERS_TROUBLE.test(sqlStateOf(error));
}

/** Only PostgreSQL's own errors have a severity. */
function sqlStateOf(error: unknown): string {
  const isServers = typeof error === 'object' && error !== null && 'severity' in error;
  return isServers ? codeOf(error) : '';
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return String(error.code);
}

function messageOf(error: unknown): string {
  return messageOfThrown(error) || codeOf(error);
}
