// Brings the ledger's schema up to this build: plain SQL files, one runner at a time.
import { readdir } from 'node:fs/promises';
import { join, parse } from 'node:path';
import pg from 'pg';
import { packageRoot } from '../package-root.ts';

const TABLE = 'pawl_migrations';

export interface MigrateOptions {
  /** Gives up when another process migrates for longer than this. @default 60_000 */
  readonly timeoutMs?: number;
}

/**
 * Applies the missing migrations and returns their names; waits while another process does the same. Where none is missing
 * it only reads.
 */
export async function migrate(
  databaseUrl: string,
  { timeoutMs = 60_000 }: MigrateOptions = {},
): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  // Without a listener a connection that breaks ends the process; whoever waits on it gets the error as well.
  let broken: Error | undefined;
  client.on('error', (error) => (broken ??= error));
  await client.connect();
  try {
    const folder = join(packageRoot(), 'activities/ledger/migrations');
    if (await isUpToDate(client, folder)) return [];
    const { runner } = await import('node-pg-migrate');
    // One transaction holds lock and migrations: behind a pooler, a session's lock would stay on somebody else's connection.
    await client.query(`begin; set local lock_timeout = ${timeoutMs}`);
    await client.query("select pg_advisory_xact_lock(hashtextextended('pawl.migrations', 0))");
    const applied = await runner({
      dbClient: client,
      dir: folder,
      direction: 'up',
      migrationsTable: TABLE,
      noLock: true,
      singleTransaction: true,
      log: () => undefined,
    });
    // Tables that are new, where logins are bound to tenants.
    await client.query('select pawl.guard_tenants()');
    // The runner has committed what it applied; this ends a transaction in which there was nothing to do.
    await client.query('commit');
    return applied.map(({ name }) => name);
  } catch (error) {
    // Not what the rollback on a broken connection says of it.
    throw broken ?? error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function isUpToDate(client: pg.Client, folder: string): Promise<boolean> {
  const { rows: found } = await client.query<{ name: string | null }>(
    `select to_regclass('${TABLE}') as name`,
  );
  if (!found[0]?.name) return false;
  const { rows: applied } = await client.query<{ name: string }>(`select name from ${TABLE}`);
  const names = new Set(applied.map(({ name }) => name));
  return (await readdir(folder)).every((file) => names.has(parse(file).name));
}
