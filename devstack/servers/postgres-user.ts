// PostgreSQL refuses to run as root: as root, everything of it runs as the system user `postgres`.
import { chownSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

import { runToEnd, whyItFailed } from './executables.ts';
import { ServerError } from './server-error.ts';
import type { ProgressListener } from './server-progress.ts';

const USER = 'postgres';
const LIMIT_MS = 10_000;

/** The user to run as; undefined means: as ourselves. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

async function lookUpUser(): Promise<RunAs | undefined> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => {
      const { exitCode, stdout } = await runToEnd('id', [flag, USER], { timeoutMs: LIMIT_MS });
      return exitCode === 0 ? Number.parseInt(stdout, 10) : undefined;
    }),
  );
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** Whom PostgreSQL runs as. As root it creates the system user `postgres` when there is none. */
export async function choosePostgresUser(
  onProgress?: ProgressListener,
): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const existing = await lookUpUser();
  if (existing !== undefined) return existing;
  const message = 'PostgreSQL refuses to run as root: creating the system user "postgres"';
  onProgress?.({ server: 'postgres', message });
  const args = ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', USER];
  const result = await runToEnd('useradd', args, { timeoutMs: LIMIT_MS });
  const created = await lookUpUser();
  if (created !== undefined) return created;
  throw new ServerError(
    'cannot-start',
    `PostgreSQL refuses to run as root, and the user "postgres" could not be created ` +
      `(useradd: ${whyItFailed(result)}). Run Pawl as another user, or set DATABASE_URL.`,
  );
}

function nearestExisting(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : nearestExisting(dirname(path));
}

/** Can this user enter the directory, or the nearest one above it that exists? */
export async function canEnter(directory: string, user: RunAs | undefined): Promise<boolean> {
  if (user === undefined) return true;
  const args = ['-c', 'cd -- "$1"', 'sh', nearestExisting(directory)];
  const result = await runToEnd('/bin/sh', args, { timeoutMs: LIMIT_MS, cwd: '/', ...user });
  return result.exitCode === 0;
}

/** Creates a directory that belongs to the user. */
export function makeDirectoryFor(directory: string, user: RunAs | undefined): void {
  mkdirSync(directory, { recursive: true });
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
}
