// The servers of a measurement: Temporal on disk and a PostgreSQL that really flushes, unless the environment names others.
import { chmodSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../../devstack/servers/postgres-server.ts';
import { identifyProcess } from '../../devstack/servers/process-identity.ts';
import { startTemporal } from '../../devstack/servers/temporal-server.ts';
import { guardServer } from '../../devstack/servers/watchdog.ts';
import { TEST_DATABASE_URL, TEST_TEMPORAL_ADDRESS } from '../../devstack/test-servers.ts';
import { type CleanUps, withCleanUps } from '../../testing/clean-ups.ts';

/**
 * Runs `body` with PAWL_TEST_TEMPORAL_ADDRESS and PAWL_TEST_DATABASE_URL set; one that is set is honoured. The ephemeral
 * servers of tests would not do: their PostgreSQL does not flush, and their Temporal keeps nothing.
 */
export function withDurableServers<T>(body: () => Promise<T>): Promise<T> {
  return withCleanUps(async (cleanUps) => {
    const folder = mkdtempSync(join(tmpdir(), 'pawl-bench-'));
    // PostgreSQL runs as another user when this is root.
    chmodSync(folder, 0o711);
    cleanUps.add(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    await name(TEST_DATABASE_URL, cleanUps, () => openPostgres(folder, cleanUps));
    await name(TEST_TEMPORAL_ADDRESS, cleanUps, () => openTemporal(folder, cleanUps));
    return body();
  });
}

async function name(
  variable: string,
  cleanUps: CleanUps,
  start: () => Promise<string>,
): Promise<void> {
  if (process.env[variable]) return;
  process.env[variable] = await start();
  cleanUps.add(() => Promise.resolve(delete process.env[variable]));
}

async function openPostgres(folder: string, cleanUps: CleanUps): Promise<string> {
  const env = { ...process.env, DATABASE_URL: undefined };
  const server = await startPostgres({ dataDir: folder, env });
  const identity = server.pid === undefined ? undefined : identifyProcess(server.pid);
  // It would outlive a benchmark that is interrupted.
  const dismiss = identity && guardServer({ identity, signal: 'SIGQUIT', removeDirectory: folder });
  cleanUps.add(async () => {
    await server.stop();
    dismiss?.();
  });
  return server.url;
}

async function openTemporal(folder: string, cleanUps: CleanUps): Promise<string> {
  const env = { ...process.env, TEMPORAL_ADDRESS: undefined };
  const server = await startTemporal({ ephemeral: true, dataDir: folder, env });
  cleanUps.add(() => server.stop());
  return server.address;
}
