// The finder of a Temporal server: an address, an executable on this machine, a download, a build,
// in this order.
import { homedir } from 'node:os';
import { join } from 'node:path';

import { findOnPath, isExecutable, runToEnd, whyItFailed } from './executables.ts';
import type { Environment } from './executables.ts';
import { ServerError, errorText } from './server-error.ts';
import type { ProgressListener } from './server-progress.ts';
import { TEMPORAL_GO_PACKAGE, buildTemporal, downloadTemporal, findGo } from './temporal-build.ts';
import type { ObtainOptions, Obtained } from './temporal-build.ts';

/** A running server that somebody else looks after, or an executable to start. */
export type FoundTemporal =
  | { readonly kind: 'address'; readonly address: string }
  | {
      readonly kind: 'executable';
      readonly path: string;
      /** Where it came from, for people: `on the PATH`. */
      readonly origin: string;
      /** What `temporal --version` prints. */
      readonly version: string;
    };

export interface FindTemporalOptions {
  readonly env?: Environment;
  readonly onProgress?: ProgressListener | undefined;
  /** Ends a download or a build. */
  readonly signal?: AbortSignal | undefined;
  /** The third way; a test gives its own. */
  readonly download?: (options: ObtainOptions) => Promise<Obtained>;
  /** The fourth way; a test gives its own. */
  readonly build?: (options: ObtainOptions) => Promise<Obtained>;
}

interface Candidate {
  readonly path: string;
  readonly origin: string;
}

/** Where Pawl keeps the servers it got: `PAWL_CACHE_DIR`, else `~/.cache/pawl/bin`. */
export function cacheDirectory(env: Environment): string {
  return env['PAWL_CACHE_DIR'] || join(env['HOME'] || homedir(), '.cache', 'pawl', 'bin');
}

async function goBinDirectories(env: Environment): Promise<string[]> {
  const fallback = join(env['HOME'] || homedir(), 'go', 'bin');
  const go = findGo(env);
  if (go === undefined) return [fallback];
  const { stdout } = await runToEnd(go, ['env', 'GOBIN', 'GOPATH'], { timeoutMs: 10_000, env });
  const [gobin = '', gopath = ''] = stdout.split('\n').map((line) => line.trim());
  const ofPath = gopath.split(':').filter((entry) => entry !== '');
  return [...(gobin === '' ? [] : [gobin]), ...ofPath.map((entry) => join(entry, 'bin')), fallback];
}

async function localCandidates(env: Environment): Promise<Candidate[]> {
  const onPath = findOnPath('temporal', env);
  const places: Candidate[] = [
    ...(onPath === undefined ? [] : [{ path: onPath, origin: 'on the PATH' }]),
    { path: join(cacheDirectory(env), 'temporal'), origin: "in Pawl's cache" },
    ...(await goBinDirectories(env)).map((directory) => ({
      path: join(directory, 'temporal'),
      origin: "in Go's bin directory",
    })),
  ];
  return places.filter(
    ({ path }, index) =>
      isExecutable(path) && places.findIndex((place) => place.path === path) === index,
  );
}

/**
 * Does it run at all, and is it Temporal? A broken or foreign `temporal` must not be started as a
 * server.
 */
async function checkExecutable({ path, origin }: Candidate, env: Environment) {
  const result = await runToEnd(path, ['--version'], { timeoutMs: 30_000, env });
  const version = /temporal version .*/.exec(result.stdout)?.[0];
  if (result.exitCode === 0 && version !== undefined) {
    return { kind: 'executable', path, origin, version } as const;
  }
  const reason =
    result.exitCode === 0 ? 'it does not print a Temporal version' : whyItFailed(result);
  return { kind: 'failed', reason: `${path} ${origin} does not work (${reason})` } as const;
}

function notFoundError(ways: { local: string; download: string; build: string }): ServerError {
  return new ServerError(
    'not-found',
    [
      'No Temporal server. Pawl tried four ways:',
      '  1. TEMPORAL_ADDRESS: not set.',
      `  2. \`temporal\` on this machine ($PAWL_TEMPORAL_CLI, the PATH, Pawl's cache, Go's bin): ${ways.local}.`,
      `  3. The SDK's download: ${ways.download}.`,
      `  4. go install ${TEMPORAL_GO_PACKAGE}: ${ways.build}.`,
      'Install the Temporal CLI (https://docs.temporal.io/cli) or Go and try again, or start a server',
      'with `docker compose -f docker-compose.temporal.yml up -d` and `export TEMPORAL_ADDRESS=localhost:7233`.',
    ].join('\n'),
  );
}

async function explicitExecutable(path: string, env: Environment): Promise<FoundTemporal> {
  const checked = await checkExecutable({ path, origin: '(from $PAWL_TEMPORAL_CLI)' }, env);
  if (checked.kind === 'executable') return checked;
  throw new ServerError(
    'not-found',
    `PAWL_TEMPORAL_CLI: ${checked.reason}. Correct it, or unset it to let Pawl look elsewhere.`,
  );
}

/**
 * Finds or gets a Temporal server. Throws ServerError `not-found` that says what failed in each of
 * the four ways.
 */
export async function findTemporal(options: FindTemporalOptions = {}): Promise<FoundTemporal> {
  const { env = process.env, onProgress, signal } = options;
  const address = env['TEMPORAL_ADDRESS'];
  if (address) return { kind: 'address', address };
  const explicit = env['PAWL_TEMPORAL_CLI'];
  // An explicit wish that fails is an error, never a silent use of something else.
  if (explicit) return explicitExecutable(explicit, env);

  const broken: string[] = [];
  for (const candidate of await localCandidates(env)) {
    const checked = await checkExecutable(candidate, env);
    if (checked.kind === 'executable') return checked;
    broken.push(checked.reason);
  }
  const obtain: ObtainOptions = { cacheDir: cacheDirectory(env), env, onProgress, signal };
  const ways = { local: broken.length === 0 ? 'not there' : broken.join('; ') };
  const download = await tryToObtain(options.download ?? downloadTemporal, obtain, 'downloaded');
  if (download.kind === 'executable') return download;
  const build = await tryToObtain(options.build ?? buildTemporal, obtain, 'built with Go');
  if (build.kind === 'executable') return build;
  throw notFoundError({ ...ways, download: download.reason, build: build.reason });
}

async function tryToObtain(
  way: (options: ObtainOptions) => Promise<Obtained>,
  options: ObtainOptions,
  origin: string,
) {
  if (options.signal?.aborted === true) return { kind: 'failed', reason: 'interrupted' } as const;
  const obtained = await way(options).catch((error: unknown) => ({
    kind: 'failed' as const,
    reason: errorText(error),
  }));
  if (obtained.kind === 'failed') return obtained;
  return checkExecutable({ path: obtained.path, origin }, options.env);
}
