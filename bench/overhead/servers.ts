// The servers of the comparison: one PostgreSQL that flushes, one Temporal with Pawl's settings and one as it ships.
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../devstack/servers/executables.ts';
import { findTemporal } from '../../devstack/servers/find-temporal.ts';
import { findFreePort } from '../../devstack/servers/ports.ts';
import { type PostgresServer, startPostgres } from '../../devstack/servers/postgres-server.ts';
import { endProcess, identifyProcess } from '../../devstack/servers/process-identity.ts';
import { describeDeath, startProcess } from '../../devstack/servers/server-process.ts';
import { waitUntilServing } from '../../devstack/servers/temporal-ready.ts';
import { temporalArguments } from '../../devstack/servers/temporal-server.ts';
import { guardServer } from '../../devstack/servers/watchdog.ts';
import type { CleanUps } from '../../testing/clean-ups.ts';

export interface BenchTemporal {
  readonly address: string;
  readonly pid: number;
  readonly metricsUrl: string;
  /** Its command line without ports and paths. */
  readonly settings: string;
}

export interface BenchServers {
  readonly postgres: PostgresServer;
  readonly tuned: BenchTemporal;
  readonly shipped: BenchTemporal;
}

/** For everything that a measurement leaves on the disk; removed at the end. */
export function makeFolder(cleanUps: CleanUps): string {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-bench-'));
  // PostgreSQL runs as another user when this is root.
  chmodSync(folder, 0o711);
  cleanUps.add(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** They end with this process, whatever ends it. */
export async function openBenchServers(folder: string, cleanUps: CleanUps): Promise<BenchServers> {
  const [postgres, tuned, shipped] = await Promise.all([
    openPostgres(folder, cleanUps),
    openTemporal(folder, 'tuned', cleanUps),
    openTemporal(folder, 'shipped', cleanUps),
  ]);
  return { postgres, tuned, shipped };
}

async function openPostgres(folder: string, cleanUps: CleanUps): Promise<PostgresServer> {
  const env = { ...process.env, DATABASE_URL: undefined };
  const server = await startPostgres({ dataDir: folder, env });
  const dismiss = guard(server.pid ?? 0, 'SIGQUIT', folder);
  cleanUps.add(async () => {
    await server.stop();
    dismiss();
  });
  return server;
}

/** Ends it, and removes the folder, when this process is interrupted or killed. */
function guard(pid: number, signal: NodeJS.Signals, removeDirectory: string): () => void {
  const identity = identifyProcess(pid);
  return identity ? guardServer({ identity, signal, removeDirectory }) : () => undefined;
}

const READY_LIMIT_MS = 60_000;

/** With its data in a file, both: the default, a database in memory, keeps nothing. */
async function openTemporal(
  folder: string,
  kind: 'tuned' | 'shipped',
  cleanUps: CleanUps,
): Promise<BenchTemporal> {
  const env: Environment = { ...process.env, TEMPORAL_ADDRESS: undefined };
  const found = await findTemporal({ env });
  if (found.kind !== 'executable') throw new Error('The benchmark starts a Temporal of its own');
  const [port, metricsPort] = [await findFreePort(), await findFreePort()];
  mkdirSync(join(folder, kind), { recursive: true });
  const database = join(folder, kind, 'temporal.db');
  const args =
    kind === 'tuned'
      ? temporalArguments({ port, uiPort: undefined }, database)
      : shippedArguments(port, database);
  const server = await startProcess({
    name: 'Temporal',
    command: found.path,
    args: [...args, '--metrics-port', String(metricsPort)],
    logPath: join(folder, kind, 'server.log'),
    // The CLI reads TEMPORAL_* as its own flags.
    env: Object.fromEntries(Object.entries(env).filter(([key]) => !key.startsWith('TEMPORAL_'))),
  });
  const dismiss = guard(server.identity.pid, 'SIGKILL', folder);
  cleanUps.add(async () => {
    await endProcess(server.identity, { signal: 'SIGKILL' });
    dismiss();
  });
  const address = `127.0.0.1:${port}`;
  const { hasEnded } = server;
  const ready = { address, namespace: 'default', timeoutMs: READY_LIMIT_MS, hasEnded };
  await waitUntilServing(ready).catch(async (error: unknown) => {
    throw hasEnded() ? new Error(describeDeath(server, await server.ended)) : error;
  });
  return {
    address,
    pid: server.identity.pid,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    settings: settingsOf(args),
  };
}

/** Nothing of Pawl's: no pragmas, no dynamic configuration. */
function shippedArguments(port: number, database: string): string[] {
  const log = ['--log-level', 'warn', '--headless'];
  return ['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), ...log].concat(
    '--db-filename',
    database,
  );
}

function settingsOf(args: readonly string[]): string {
  const settings = args.filter((_, at) =>
    ['--sqlite-pragma', '--dynamic-config-value'].includes(args[at - 1] ?? ''),
  );
  return settings.join(' ') || 'none';
}
