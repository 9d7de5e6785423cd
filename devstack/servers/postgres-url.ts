// Talking to a PostgreSQL by its URL: does it answer, who is it, does a database exist. No URL is
// ever printed whole.
import pg from 'pg';

import { ServerError, errorText } from './server-error.ts';

const CONNECT_LIMIT_MS = 5000;

/** Runs `work` on one connection and closes it. */
export async function withConnection<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    application_name: 'pawl-devstack',
  });
  // Without a listener a server that goes away ends this whole process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function readServerVersion(url: string): Promise<string> {
  return withConnection(url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version.split(' ')[0] ?? 'unknown';
  });
}

/** `localhost:5432/pawl as user pawl`: everything but the password. */
export function describeUrl(url: string): string {
  const { hostname, port, pathname, username } = new URL(url);
  const database = decodeURIComponent(pathname.slice(1)) || '(default database)';
  const user = username === '' ? '' : ` as user ${decodeURIComponent(username)}`;
  return `${hostname || 'localhost'}:${port || '5432'}/${database}${user}`;
}

function adviceFor(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === '28P01' || code === '28000') return 'Correct the user or the password.';
  if (code === '3D000') return 'Create that database, or correct its name.';
  return 'Start it, correct DATABASE_URL, or unset it to let Pawl start its own.';
}

/**
 * Checks the server that DATABASE_URL names and returns its version. The password appears in no
 * message.
 */
export async function checkDatabaseUrl(url: string): Promise<string> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new ServerError(
      'not-serving',
      'DATABASE_URL is not a PostgreSQL address. It looks like postgres://user:password@host:5432/database.',
    );
  }
  try {
    return await readServerVersion(url);
  } catch (error) {
    throw new ServerError(
      'not-serving',
      `DATABASE_URL points to ${describeUrl(url)}, which does not let us in: ${errorText(error)}. ${adviceFor(error)}`,
    );
  }
}

/** Creates a database unless it is there. */
export async function ensureDatabase(url: string, name: string): Promise<void> {
  await withConnection(url, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  });
}

/** The same server, another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(name)}`;
  return changed.toString();
}
