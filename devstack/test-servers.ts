// The servers of a Jest run: a host process starts one ephemeral Temporal and one ephemeral
// PostgreSQL for all tests. Builtins only in this file: Jest loads it as CommonJS in its global
// set-up.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * The variables that tests read; one that is already set is honoured and its server not started.
 */
export const TEST_TEMPORAL_ADDRESS = 'PAWL_TEST_TEMPORAL_ADDRESS';
export const TEST_DATABASE_URL = 'PAWL_TEST_DATABASE_URL';

/** One line on the host's stdout. */
export type HostMessage =
  | { readonly kind: 'progress'; readonly message: string }
  | { readonly kind: 'ready'; readonly variables: Readonly<Record<string, string>> }
  | { readonly kind: 'failed'; readonly message: string };

interface TestServersState {
  host: ChildProcess | undefined;
  starting: Promise<void> | undefined;
}

// Jest loads the set-up and the teardown as separate modules: what they share hangs on the process.
const STATE = Symbol.for('pawl.testServers');

function sharedState(): TestServersState {
  const holder = globalThis as unknown as Record<symbol, TestServersState | undefined>;
  return (holder[STATE] ??= { host: undefined, starting: undefined });
}

/**
 * Resolves with the variables, rejects with what the host says; a line of progress goes to stderr.
 */
function waitForHost(host: ChildProcess): Promise<Readonly<Record<string, string>>> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: host.stdout ?? process.stdin });
    lines.on('line', (line) => {
      const message = JSON.parse(line) as HostMessage;
      if (message.kind === 'progress') process.stderr.write(`test servers: ${message.message}\n`);
      else if (message.kind === 'ready') resolve(message.variables);
      else reject(new Error(message.message));
    });
    host.once('error', reject);
    host.once('exit', (code) => reject(new Error(`The host of the test servers ended (${code}).`)));
  });
}

async function startHost(rootDir: string, state: TestServersState): Promise<void> {
  const script = join(rootDir, 'devstack', 'test-servers-host.ts');
  // Its stdin is a pipe that ends with this process, however it ends: then the host stops the
  // servers and itself.
  const host = spawn(process.execPath, ['--import', 'tsx', script], {
    cwd: rootDir,
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true, // Ctrl-C must not end it before it has stopped the servers
  });
  state.host = host;
  Object.assign(process.env, await waitForHost(host));
}

/** Starts what is not there yet and puts the addresses into `process.env`. Safe to call again. */
export async function startTestServers(rootDir: string): Promise<void> {
  const state = sharedState();
  const isComplete = [TEST_TEMPORAL_ADDRESS, TEST_DATABASE_URL].every((name) => process.env[name]);
  if (isComplete) return;
  state.starting ??= startHost(rootDir, state);
  await state.starting;
}

/** Stops what `startTestServers` started. Safe to call again. */
export async function stopTestServers(): Promise<void> {
  const state = sharedState();
  const { host } = state;
  Object.assign(state, { host: undefined, starting: undefined });
  if (host === undefined || host.exitCode !== null || host.signalCode !== null) return;
  const ended = new Promise((resolve) => host.once('exit', resolve));
  host.stdin?.end();
  await ended;
}
