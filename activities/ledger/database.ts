// The way to PostgreSQL: one pool, transactions that are safe behind PgBouncer, and errors that name the database.
import pg from 'pg';
import { toErrorMessage } from '../error-facts.ts';

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
}

export interface TransactionOptions<T> {
  /** `false` lets the commit's flush ride on the next durable one. @default true */
  readonly durable?: boolean;
  /** Called when the commit is on the wire, before its answer is read. */
  readonly whileCommitting?: (result: T) => unknown;
}

export interface Database {
  /** One statement outside a transaction. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
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
export function openDatabase({ url, connectionsMax = 10 }: DatabaseOptions): Database {
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
    async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      const { rows } = await guarded(() => pool.query<Row>(text, [...values]));
      return rows;
    },
    transaction: (work, options) => guarded(() => transact(pool, work, options ?? {})),
    close: () => pool.end(),
  };
}

const RETRIES_MAX = 5;

async function transact<T>(
  pool: pg.Pool,
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
      const result = await work(client);
      const committed = client.query('commit');
      // Heard below; a hook that throws first must not leave it unheard.
      committed.catch(ignore);
      await whileCommitting?.(result);
      await committed;
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

function isRaceLost(error: unknown): boolean {
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

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return String(error.code);
}

function messageOf(error: unknown): string {
  return toErrorMessage(error) || codeOf(error);
}
