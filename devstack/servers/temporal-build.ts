// The two ways to get a Temporal server that is not on this machine: the SDK's download, and a
// build with Go.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { findOnPath, isExecutable, runToEnd, whyItFailed } from './executables.ts';
import type { Environment } from './executables.ts';
import { acquireLock } from './pid-lock.ts';
import { reportWhile } from './server-progress.ts';
import type { ProgressListener } from './server-progress.ts';

/**
 * Server 1.29.1 with its UI. Later versions cannot be installed so: their go.mod has a `replace`.
 */
export const TEMPORAL_GO_PACKAGE = 'github.com/temporalio/cli/cmd/temporal@v1.5.1';
const DOWNLOAD_LIMIT_MS = 60_000;
const BUILD_LIMIT_MS = 20 * 60_000;

export type Obtained =
  | { readonly kind: 'obtained'; readonly path: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ObtainOptions {
  readonly cacheDir: string;
  readonly env: Environment;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

const failed = (reason: string): Obtained => ({ kind: 'failed', reason });

// In a process of its own: the SDK's native runtime can be configured once per process, and that is
// the user's to do.
const DOWNLOAD_SCRIPT = `
  const [testing, downloadDir] = process.argv.slice(1);
  setTimeout(() => process.exit(1), ${DOWNLOAD_LIMIT_MS}).unref();
  const { TestWorkflowEnvironment } = require(testing);
  TestWorkflowEnvironment.createLocal({ server: { executable: { type: 'cached-download', downloadDir } } })
    .then((environment) => environment.teardown())
    .then(() => process.exit(0), (error) => { console.error(error.message); process.exit(1); });
`;

function resolveTestingPackage(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('@temporalio/testing');
  } catch {
    return undefined;
  }
}

/** Lets the SDK download the dev server into the cache; ends after 60 s at the latest. */
export async function downloadTemporal(options: ObtainOptions): Promise<Obtained> {
  const testing = resolveTestingPackage();
  if (testing === undefined) return failed('the package @temporalio/testing is not installed');
  const directory = join(options.cacheDir, 'sdk-download');
  mkdirSync(directory, { recursive: true });
  const stopReporting = reportWhile(options.onProgress, {
    server: 'temporal',
    message: "downloading Temporal with the SDK's downloader",
  });
  const result = await runToEnd(process.execPath, ['-e', DOWNLOAD_SCRIPT, testing, directory], {
    timeoutMs: DOWNLOAD_LIMIT_MS,
    env: options.env,
    signal: options.signal,
    ownGroup: true,
  });
  stopReporting();
  if (result.exitCode !== 0) return failed(whyItFailed(result));
  return publish(directory, options.cacheDir);
}

/**
 * Moves a finished executable into the cache in one step, so that no other process runs half of it.
 */
function publish(directory: string, cacheDir: string): Obtained {
  const name = readdirSync(directory).find(
    (entry) => entry.startsWith('temporal') && isExecutable(join(directory, entry)),
  );
  if (name === undefined) return failed(`it left no executable in ${directory}`);
  const path = join(cacheDir, 'temporal');
  renameSync(join(directory, name), path);
  return { kind: 'obtained', path };
}

/** The Go tool: on the PATH, or where its installer puts it. */
export function findGo(env: Environment): string | undefined {
  return findOnPath('go', env) ?? ['/usr/local/go/bin/go'].find(isExecutable);
}

/**
 * Builds Temporal from source into the cache: about three minutes, once. A second builder waits for
 * the first.
 */
export async function buildTemporal(options: ObtainOptions): Promise<Obtained> {
  const { cacheDir, env, onProgress } = options;
  const go = findGo(env);
  if (go === undefined) return failed('Go is not installed');
  mkdirSync(cacheDir, { recursive: true });
  const stopReporting = reportWhile(onProgress, {
    server: 'temporal',
    message: 'building Temporal from source with Go (about 3 minutes, once)',
  });
  const lock = await acquireLock(join(cacheDir, 'build.lock'), {
    purpose: 'building Temporal',
    advice: 'Wait for it, or end it.',
    waitMs: BUILD_LIMIT_MS,
  });
  try {
    const cached = join(cacheDir, 'temporal');
    return existsSync(cached) ? { kind: 'obtained', path: cached } : await goInstall(go, options);
  } finally {
    lock.release();
    stopReporting();
  }
}

async function goInstall(go: string, { cacheDir, env, signal }: ObtainOptions): Promise<Obtained> {
  for (const entry of readdirSync(cacheDir)) {
    // We hold the build lock: any other build directory belongs to a build that was killed.
    if (entry.startsWith('build-')) rmSync(join(cacheDir, entry), { recursive: true, force: true });
  }
  const directory = mkdtempSync(join(cacheDir, 'build-'));
  try {
    const result = await runToEnd(go, ['install', TEMPORAL_GO_PACKAGE], {
      timeoutMs: BUILD_LIMIT_MS,
      env: { ...env, GOBIN: directory, HOME: env['HOME'] ?? homedir() },
      cwd: directory,
      signal,
    });
    return result.exitCode === 0 ? publish(directory, cacheDir) : failed(whyItFailed(result));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
