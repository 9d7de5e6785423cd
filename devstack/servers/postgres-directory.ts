// A PostgreSQL data directory: made whole or not at all, its version, and the server that runs or
// ran in it.
import {
  chownSync,
  existsSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { runToEnd, whyItFailed } from './executables.ts';
import type { PostgresBinaries } from './find-postgres.ts';
import type { PostgresHome } from './postgres-home.ts';
import type { RunAs } from './postgres-user.ts';
import { identifyProcess } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { ServerError } from './server-error.ts';
import type { ProgressListener } from './server-progress.ts';

export const SUPERUSER = 'postgres';
const INITDB_LIMIT_MS = 120_000;

function readFirstLine(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}

/** The major version that made the data directory; undefined when there is none. */
export function readDataMajor({ dataPath }: PostgresHome): number | undefined {
  const major = Number.parseInt(readFirstLine(join(dataPath, 'PG_VERSION')) ?? '', 10);
  return Number.isNaN(major) ? undefined : major;
}

/** Throws ServerError `wrong-version` when these binaries cannot open this data directory. */
export function assertSameMajor(home: PostgresHome, binaries: PostgresBinaries): void {
  const major = readDataMajor(home);
  if (major === undefined || major === binaries.major) return;
  throw new ServerError(
    'wrong-version',
    `${home.dataPath} was made by PostgreSQL ${major}, but the one found here (${binaries.origin}) is ` +
      `${binaries.version}. Install PostgreSQL ${major}, or start with an empty database after ` +
      `\`mv ${home.dataPath} ${home.dataPath}.v${major}\`.`,
  );
}

/** A data directory without our marker was never finished; nothing can have been stored in it. */
function moveHalfInitialisedAside(home: PostgresHome, onProgress?: ProgressListener): void {
  if (!existsSync(home.dataPath) || existsSync(home.markerPath)) return;
  const aside = `${home.dataPath}.half-initialised-${Date.now()}`;
  renameSync(home.dataPath, aside);
  const message = `its data directory was never finished (a killed start); moved to ${aside}`;
  onProgress?.({ server: 'postgres', message });
}

async function runInitdb(
  draft: string,
  binaries: PostgresBinaries,
  password: string,
  user: RunAs | undefined,
): Promise<void> {
  const passwordFile = `${draft}.password`;
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined) chownSync(passwordFile, user.uid, user.gid);
  const args = [
    `--pgdata=${draft}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C', // the same order of text on every machine
  ];
  const env = { ...process.env, LC_ALL: 'C' };
  try {
    const options = { timeoutMs: INITDB_LIMIT_MS, cwd: '/', env, ...user };
    const result = await runToEnd(binaries.initdb, args, options);
    if (result.exitCode !== 0) {
      throw new ServerError('cannot-start', `initdb failed: ${whyItFailed(result)}`);
    }
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

export interface InitialiseOptions {
  readonly home: PostgresHome;
  readonly binaries: PostgresBinaries;
  readonly password: string;
  readonly user: RunAs | undefined;
  readonly onProgress?: ProgressListener | undefined;
}

/**
 * Makes the data directory unless it is there: into a draft first, so that a kill leaves nothing
 * half done.
 */
export async function ensureInitialised(options: InitialiseOptions): Promise<void> {
  const { home, binaries, password, user, onProgress } = options;
  moveHalfInitialisedAside(home, onProgress);
  if (existsSync(home.dataPath)) return;
  const draftPrefix = 'data.draft-';
  for (const left of readdirSync(home.home).filter((name) => name.startsWith(draftPrefix))) {
    rmSync(join(home.home, left), { recursive: true, force: true, maxRetries: 5 });
  }
  const draft = join(home.home, `${draftPrefix}${process.pid}`);
  onProgress?.({
    server: 'postgres',
    message: `creating a PostgreSQL ${binaries.version} database (${binaries.origin})`,
  });
  await runInitdb(draft, binaries, password, user);
  const marker = JSON.stringify({ v: 1, version: binaries.version, at: new Date().toISOString() });
  writeFileSync(join(draft, 'pawl-initialised.json'), `${marker}\n`, { mode: 0o644 });
  renameSync(draft, home.dataPath);
}

/** What `postmaster.pid` says, checked against the processes of this machine. */
export type Postmaster =
  | { readonly kind: 'none' }
  /** The server is gone; PostgreSQL recovers by itself. */
  | { readonly kind: 'dead' }
  /** The file is empty, or its pid belongs to a stranger now: PostgreSQL would refuse to start. */
  | { readonly kind: 'stale'; readonly path: string }
  | { readonly kind: 'live'; readonly identity: ProcessIdentity; readonly port: number };

function runsIn(pid: number, dataPath: string): boolean {
  // No way to look elsewhere: better careful than two servers in one directory.
  if (process.platform !== 'linux') return true;
  try {
    // A postmaster's working directory is its data directory.
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataPath);
  } catch {
    return false;
  }
}

/** Which server runs, or ran, in the data directory. */
export function inspectPostmaster({ dataPath }: PostgresHome): Postmaster {
  const path = join(dataPath, 'postmaster.pid');
  if (!existsSync(path)) return { kind: 'none' };
  const lines = readFileSync(path, 'utf8').split('\n');
  const [pid, port] = [Number.parseInt(lines[0] ?? '', 10), Number.parseInt(lines[3] ?? '', 10)];
  if (Number.isNaN(pid)) return { kind: 'stale', path };
  const identity = identifyProcess(pid);
  if (identity === undefined) return { kind: 'dead' };
  return runsIn(pid, dataPath) ? { kind: 'live', identity, port } : { kind: 'stale', path };
}
