// Starts, adopts and stops the PostgreSQL that holds the development ledger.
import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { findRecordedProcess, forgetProcess, lockDataDir, recordProcess } from '../data-dir.ts';
import type { Environment } from './executables.ts';
import { findPostgres } from './find-postgres.ts';
import type { FindPostgresOptions, PostgresBinaries } from './find-postgres.ts';
import type { PidLock } from './pid-lock.ts';
import { choosePort } from './ports.ts';
import {
  SUPERUSER,
  assertSameMajor,
  ensureInitialised,
  inspectPostmaster,
  readDataMajor,
} from './postgres-directory.ts';
import { makeTemporaryHome, preparePostgresHome, readOrMakePassword } from './postgres-home.ts';
import type { PostgresHome } from './postgres-home.ts';
import {
  checkDatabaseUrl,
  ensureDatabase,
  readServerVersion,
  withDatabase,
} from './postgres-url.ts';
import { choosePostgresUser } from './postgres-user.ts';
import type { RunAs } from './postgres-user.ts';
import { endProcess } from './process-identity.ts';
import { ServerError, errorText } from './server-error.ts';
import type { ProgressListener } from './server-progress.ts';
import {
  adoptProcess,
  describeDeath,
  lastLogLines,
  startProcess,
  watchServer,
} from './server-process.ts';
import type { ServerDeath, ServerProcess } from './server-process.ts';
import { guardServer } from './watchdog.ts';

const NAME = 'postgres';
const DATABASE = 'pawl';
const HOST = '127.0.0.1';
const DEFAULT_PORT = 5432;
const READY_LIMIT_MS = 60_000;
const STOP_GRACE_MS = 15_000;
const START_TRIES = 3;

/** PostgreSQL's own names: wait for the clients, roll them back, or stop as in a crash. */
export type PostgresStopMode = 'smart' | 'fast' | 'immediate';

const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

export interface PostgresOptions extends Pick<
  FindPostgresOptions,
  'env' | 'usualDirectories' | 'embedded'
> {
  /** Where its data, password and log live. Needed unless `ephemeral`. */
  readonly dataDir?: string | undefined;
  /** Default 5432 when free, else any free one. A requested port that is held is an error. */
  readonly port?: number | undefined;
  /** For tests: free port, a temporary directory without fsync, and it dies with this process. */
  readonly ephemeral?: boolean | undefined;
  readonly onProgress?: ProgressListener | undefined;
}

export interface PostgresServer {
  /** With the password: for a connection, never for a log. */
  readonly url: string;
  /** `15.18`. */
  readonly version: string;
  /** Undefined when somebody else runs it (`DATABASE_URL`). */
  readonly pid: number | undefined;
  /** For people: `DATABASE_URL`, `on the PATH`, `embedded`, `adopted`. */
  readonly origin: string;
  /** Resolves when it ends and nobody asked for it; pending otherwise. */
  readonly died: Promise<ServerDeath>;
  /** Stops it (default `fast`), or leaves it alone when somebody else runs it. */
  stop(mode?: PostgresStopMode): Promise<void>;
}

interface Context {
  readonly options: PostgresOptions;
  readonly user: RunAs | undefined;
  readonly home: PostgresHome;
  readonly password: string;
}

interface Running {
  readonly server: ServerProcess;
  readonly url: string;
  readonly version: string;
  readonly origin: string;
}

const urlOf = (password: string, port: number, database: string): string =>
  `postgres://${SUPERUSER}:${password}@${HOST}:${port}/${database}`;

/**
 * The command line of the server. TCP on the loopback address only: socket paths have a length
 * limit.
 */
export function postgresArguments(home: PostgresHome, port: number, ephemeral: boolean): string[] {
  const settings = {
    listen_addresses: HOST,
    unix_socket_directories: '',
    max_connections: 200,
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Tests only: it loses data in a power cut, never when a process is killed.
    ...(ephemeral ? { fsync: 'off' } : {}),
  };
  return [
    ...['-D', home.dataPath, '-p', String(port)],
    ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
  ];
}

async function startOnce(context: Context, binaries: PostgresBinaries, port: number) {
  const { options, user, home, password } = context;
  const server = await startProcess({
    name: 'PostgreSQL',
    command: binaries.postgres,
    args: postgresArguments(home, port, options.ephemeral ?? false),
    logPath: home.logPath,
    env: { ...process.env, LC_ALL: 'C' },
    uid: user?.uid,
    gid: user?.gid,
  });
  if (options.dataDir !== undefined) {
    recordProcess(options.dataDir, NAME, server.identity, {
      details: { url: urlOf(password, port, DATABASE) },
      stopSignal: STOP_SIGNALS.fast,
    });
  }
  return server;
}

async function waitUntilReady(server: ServerProcess, url: string): Promise<string> {
  const deadlineMs = Date.now() + READY_LIMIT_MS;
  let lastAnswer = 'no answer';
  while (!server.hasEnded() && Date.now() < deadlineMs) {
    try {
      return await readServerVersion(url);
    } catch (error) {
      lastAnswer = errorText(error);
      // Somebody else's server on this port, or a foreign password: no wait helps.
      if ((error as { code?: unknown }).code === '28P01') break;
      await delay(30);
    }
  }
  if (server.hasEnded()) {
    throw new ServerError('cannot-start', describeDeath(server, await server.ended));
  }
  await endProcess(server.identity, { signal: STOP_SIGNALS.fast, graceMs: STOP_GRACE_MS });
  throw new ServerError(
    'not-serving',
    `PostgreSQL does not serve (${lastAnswer}). The end of its log ${server.logPath}:\n${lastLogLines(server)}`,
  );
}

/**
 * Worth another try: the port was taken meanwhile, or children of a killed server have not gone
 * yet.
 */
function isPassing(error: unknown): boolean {
  const passing = /Address already in use|pre-existing shared memory block is still in use/;
  return error instanceof ServerError && passing.test(error.message);
}

async function startWithRetry(context: Context, binaries: PostgresBinaries) {
  const { options, password } = context;
  const preferred = options.ephemeral === true ? undefined : DEFAULT_PORT;
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort({ what: 'PostgreSQL', requested: options.port, preferred });
    const server = await startOnce(context, binaries, port);
    // From the first moment: the process may be killed while it waits for the server, too.
    const dismiss = options.ephemeral === true ? guardPostgres(server, context) : () => undefined;
    try {
      const version = await waitUntilReady(server, urlOf(password, port, 'postgres'));
      return { server, version, port, dismiss };
    } catch (error) {
      dismiss();
      if (attempt >= START_TRIES || !isPassing(error)) throw error;
      await delay(500);
    }
  }
}

function guardPostgres({ identity }: ServerProcess, { options, home }: Context): () => void {
  const removeDirectory = options.dataDir === undefined ? home.home : undefined;
  return guardServer({ identity, signal: STOP_SIGNALS.immediate, removeDirectory });
}

async function startNew(context: Context): Promise<Running & { dismiss: () => void }> {
  const { options, user, home, password } = context;
  const major = readDataMajor(home);
  const binaries = await findPostgres({
    ...options,
    user,
    prefer: (candidate) => major === undefined || candidate.major === major,
  });
  await ensureInitialised({ home, binaries, password, user, onProgress: options.onProgress });
  assertSameMajor(home, binaries);
  const message = `starting PostgreSQL ${binaries.version} (${binaries.origin})`;
  options.onProgress?.({ server: NAME, message });
  const { server, version, port, dismiss } = await startWithRetry(context, binaries);
  const url = urlOf(password, port, DATABASE);
  await ensureDatabase(withDatabase(url, 'postgres'), DATABASE);
  return { server, version, url, origin: binaries.origin, dismiss };
}

function orphanError(pid: number, dataPath: string, why: string): ServerError {
  return new ServerError(
    'orphan',
    `A PostgreSQL of an earlier start (process ${pid}) still runs in ${dataPath}, but ${why}. ` +
      `End it with \`kill -INT ${pid}\` and start again.`,
  );
}

/**
 * The server of a killed start goes on serving: take it over; end it only if we started it and it
 * does not fit.
 */
async function adoptOrEndOrphan(context: Context, dataDir: string): Promise<Running | undefined> {
  const { options, home, password } = context;
  const postmaster = inspectPostmaster(home);
  if (postmaster.kind === 'stale') {
    options.onProgress?.({ server: NAME, message: `removing the stale ${postmaster.path}` });
    rmSync(postmaster.path, { force: true });
  }
  if (postmaster.kind !== 'live') return undefined;
  const { identity, port } = postmaster;
  const isRecorded = findRecordedProcess(dataDir, NAME)?.pid === identity.pid;
  if (options.port !== undefined && options.port !== port) {
    if (!isRecorded) throw orphanError(identity.pid, home.dataPath, `on port ${port}`);
    const message = `ending an earlier server on port ${port} (process ${identity.pid})`;
    options.onProgress?.({ server: NAME, message });
    await endProcess(identity, { signal: STOP_SIGNALS.fast, graceMs: STOP_GRACE_MS });
    return undefined;
  }
  const server = adoptProcess('PostgreSQL', identity, home.logPath);
  const url = urlOf(password, port, DATABASE);
  const version = await adoptVersion(url, identity.pid, home.dataPath);
  const message = `adopted the PostgreSQL of an earlier start (process ${identity.pid})`;
  options.onProgress?.({ server: NAME, message });
  recordProcess(dataDir, NAME, identity, { details: { url }, stopSignal: STOP_SIGNALS.fast });
  return { server, url, version, origin: 'adopted' };
}

async function adoptVersion(url: string, pid: number, dataPath: string): Promise<string> {
  const deadlineMs = Date.now() + 5000;
  for (;;) {
    try {
      // Its start may have been killed before the database was made.
      await ensureDatabase(withDatabase(url, 'postgres'), DATABASE);
      return await readServerVersion(url);
    } catch (error) {
      if (Date.now() > deadlineMs) {
        throw orphanError(pid, dataPath, `does not answer (${errorText(error)})`);
      }
      await delay(100); // it may be recovering
    }
  }
}

function toPostgresServer(running: Running, afterStop: () => void): PostgresServer {
  const { server, url, version, origin } = running;
  const watch = watchServer(server);
  const stop = async (mode: PostgresStopMode = 'fast'): Promise<void> => {
    await watch.stop(STOP_SIGNALS[mode], STOP_GRACE_MS);
    afterStop();
  };
  return { url, version, origin, pid: server.identity.pid, died: watch.died, stop };
}

async function startOwn(options: PostgresOptions): Promise<PostgresServer> {
  const { dataDir, onProgress } = options;
  if (dataDir === undefined && options.ephemeral !== true) {
    throw new ServerError('cannot-start', 'startPostgres needs a dataDir unless it is ephemeral.');
  }
  const user = await choosePostgresUser(onProgress);
  const lock: PidLock | undefined =
    dataDir === undefined ? undefined : await lockDataDir(dataDir, 'PostgreSQL', 'postgres.lock');
  let cleanUp = (): void => lock?.release();
  try {
    if (dataDir !== undefined) mkdirSync(dataDir, { recursive: true });
    const home =
      dataDir === undefined
        ? makeTemporaryHome(user)
        : await preparePostgresHome(dataDir, user, onProgress);
    cleanUp = () => {
      if (dataDir === undefined) rmSync(home.home, { recursive: true, force: true, maxRetries: 5 });
      else if (inspectPostmaster(home).kind !== 'live') forgetProcess(dataDir, NAME);
      lock?.release();
    };
    const context = { options, user, home, password: readOrMakePassword(home) };
    const orphan = dataDir === undefined ? undefined : await adoptOrEndOrphan(context, dataDir);
    if (orphan !== undefined) return toPostgresServer(orphan, cleanUp);
    const { dismiss, ...running } = await startNew(context);
    return toPostgresServer(running, () => {
      dismiss();
      cleanUp();
    });
  } catch (error) {
    cleanUp();
    throw error;
  }
}

const databaseUrl = (env: Environment): string | undefined => env['DATABASE_URL'] || undefined;

/**
 * Finds and starts PostgreSQL and returns when it answers in the database `pawl`. Throws
 * ServerError: `not-found`, `busy-port`, `locked`, `orphan`, `wrong-version`, `cannot-start` or
 * `not-serving`, naming the thing and what to do.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const url = databaseUrl(options.env ?? process.env);
  if (url === undefined) return startOwn(options);
  return {
    url,
    version: await checkDatabaseUrl(url),
    pid: undefined,
    origin: 'DATABASE_URL',
    died: new Promise(() => undefined),
    stop: async () => undefined,
  };
}
