// A development stack: both servers, a migrated database with its two roles, and the file by which the CLI finds them.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { migrate } from '../activities/ledger/migrate.ts';
import type { ProgressListener } from './servers/server-progress.ts';
import { type Servers, startServers } from './servers/start-servers.ts';

export interface StackOptions {
  readonly dataDir: string;
  /** The ledger's database; made when it is missing. */
  readonly database: string;
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}

export interface Stack {
  readonly servers: Servers;
  readonly temporalAddress: string;
  readonly uiUrl: string | undefined;
  /** May do everything: for migrations only. */
  readonly adminUrl: string;
  /** The role of workers: may not write decisions. */
  readonly workerUrl: string;
  /** The role of CLI and HTTP: may not write effects. */
  readonly clientUrl: string;
  /** The same servers with the database made and migrated anew, after it was dropped. */
  readonly reopen: () => Promise<Stack>;
  readonly stop: () => Promise<void>;
}

/** Starts or adopts the servers, migrates, and writes `stack.json`. */
export async function openStack(options: StackOptions): Promise<Stack> {
  const { dataDir, onProgress, signal } = options;
  const servers = await startServers({
    dataDir,
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  });
  try {
    return await prepare(options, servers);
  } catch (error) {
    await servers.stop();
    throw error;
  }
}

async function prepare(options: StackOptions, servers: Servers): Promise<Stack> {
  const { dataDir, database } = options;
  const adminUrl = withDatabase(servers.postgres.url, database);
  await createDatabase(servers.postgres.url, database);
  await migrate(adminUrl);
  const urls = await createLogins(adminUrl, dataDir);
  const { address, uiUrl } = servers.temporal;
  const file = writeStackFile(dataDir, { temporalAddress: address, uiUrl, ...urls });
  return {
    servers,
    temporalAddress: address,
    uiUrl,
    adminUrl,
    ...urls,
    reopen: () => prepare(options, servers),
    async stop() {
      rmSync(file, { force: true });
      await servers.stop();
    },
  };
}

/** Drops a database with everything in it; for the demonstration's finished books only. */
export async function dropDatabase(serverUrl: string, database: string): Promise<void> {
  await withClient(serverUrl, (client) =>
    client.query(`drop database if exists ${pg.escapeIdentifier(database)} with (force)`),
  );
}

/** The same server and user, another database. */
export function withDatabase(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

async function createDatabase(serverUrl: string, database: string): Promise<void> {
  await withClient(serverUrl, async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [
      database,
    ]);
    if (!rowCount) await client.query(`create database ${pg.escapeIdentifier(database)}`);
  });
}

const LOGINS = {
  workerUrl: ['pawl_worker', 'pawl_engine'],
  clientUrl: ['pawl_client', 'pawl_service'],
} as const;

/** The two logins of a development stack; their passwords, one each, stay in the data directory. */
async function createLogins(
  adminUrl: string,
  dataDir: string,
): Promise<{ workerUrl: string; clientUrl: string }> {
  const passwordOf = (login: string): string =>
    readOrMakeSecret(join(dataDir, `${login}-password`));
  await withClient(adminUrl, async (client) => {
    for (const [login, group] of Object.values(LOGINS)) {
      const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [login]);
      const verb = rowCount ? 'alter' : 'create';
      await client.query(
        `${verb} role ${login} login password ${pg.escapeLiteral(passwordOf(login))}`,
      );
      await client.query(`grant ${group} to ${login}`);
    }
  });
  return {
    workerUrl: withLogin(adminUrl, LOGINS.workerUrl[0], passwordOf(LOGINS.workerUrl[0])),
    clientUrl: withLogin(adminUrl, LOGINS.clientUrl[0], passwordOf(LOGINS.clientUrl[0])),
  };
}

function withLogin(adminUrl: string, user: string, password: string): string {
  const url = new URL(adminUrl);
  url.username = user;
  url.password = password;
  return url.href;
}

function readOrMakeSecret(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function writeStackFile(
  dataDir: string,
  stack: Pick<Stack, 'temporalAddress' | 'uiUrl' | 'workerUrl' | 'clientUrl'>,
): string {
  const file = join(dataDir, 'stack.json');
  const content = {
    temporalAddress: stack.temporalAddress,
    databaseUrl: stack.workerUrl,
    clientDatabaseUrl: stack.clientUrl,
    uiUrl: stack.uiUrl,
    taskQueue: 'pawl',
    pid: process.pid,
  };
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  return file;
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
