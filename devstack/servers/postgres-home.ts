// Where the files of a PostgreSQL of ours lie: its data directory, password, marker and log.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { canEnter, makeDirectoryFor } from './postgres-user.ts';
import type { RunAs } from './postgres-user.ts';
import { ServerError } from './server-error.ts';
import type { ProgressListener } from './server-progress.ts';

/**
 * For root: the user `postgres` cannot enter root's own folders, so its data must lie elsewhere.
 */
export const ROOT_HOME = '/var/lib/pawl';

export interface PostgresHome {
  readonly home: string;
  /** PGDATA. It appears by a rename, complete. */
  readonly dataPath: string;
  /** Written into the data directory when initdb has succeeded. */
  readonly markerPath: string;
  readonly passwordPath: string;
  readonly logPath: string;
}

export function layOutHome(home: string): PostgresHome {
  const dataPath = join(home, 'data');
  return {
    home,
    dataPath,
    markerPath: join(dataPath, 'pawl-initialised.json'),
    passwordPath: join(home, 'password'),
    logPath: join(home, 'server.log'),
  };
}

/**
 * The home in the data directory, or, where the user `postgres` cannot enter it, one under
 * /var/lib/pawl.
 */
export async function preparePostgresHome(
  dataDir: string,
  user: RunAs | undefined,
  onProgress?: ProgressListener,
): Promise<PostgresHome> {
  const wanted = resolve(dataDir, 'postgres');
  mkdirSync(wanted, { recursive: true });
  if (await canEnter(wanted, user)) {
    makeDirectoryFor(wanted, user);
    return layOutHome(wanted);
  }
  const name = `postgres-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`;
  const home = join(ROOT_HOME, name);
  makeDirectoryFor(ROOT_HOME, undefined);
  makeDirectoryFor(home, user);
  writeFileSync(join(wanted, 'moved-to'), `${home}\n`);
  const message = `the user "postgres" cannot enter ${wanted}; its data lies in ${home}`;
  onProgress?.({ server: 'postgres', message });
  return layOutHome(home);
}

/** A home that is removed after use. */
export function makeTemporaryHome(user: RunAs | undefined): PostgresHome {
  const home = mkdtempSync(join(tmpdir(), 'pawl-postgres-'));
  makeDirectoryFor(home, user);
  return layOutHome(home);
}

/** The superuser's password: random, made once per data directory, readable by its owner only. */
export function readOrMakePassword({ passwordPath, dataPath, markerPath }: PostgresHome): string {
  if (existsSync(passwordPath)) return readFileSync(passwordPath, 'utf8').trim();
  if (existsSync(markerPath)) {
    throw new ServerError(
      'cannot-start',
      `${passwordPath} is missing, and without it nobody can log in to the database in ${dataPath}. ` +
        'Put it back, or move that directory away to start with an empty database.',
    );
  }
  const password = randomBytes(24).toString('hex');
  writeFileSync(passwordPath, `${password}\n`, { mode: 0o600 });
  return password;
}
