// Brings the ledger's schema up to this build: plain SQL files, one runner at a time.
import { join } from 'node:path';
import pg from 'pg';
import { runner } from 'node-pg-migrate';
import { packageRoot } from '../package-root.ts';

export interface MigrateOptions {
  /** Gives up when another process migrates for longer than this. @default 60_000 */
  readonly timeoutMs?: number;
}

/** Applies the missing migrations and returns their names; waits while another process does the same. */
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
    // One transaction holds lock and migrations: behind a pooler, a session's lock would stay on somebody else's connection.
    await client.query(`begin; set local lock_timeout = ${timeoutMs}`);
    await client.query("select pg_advisory_xact_lock(hashtextextended('pawl.migrations', 0))");
    const applied = await runner({
      dbClient: client,
      dir: join(packageRoot(), 'activities/ledger/migrations'),
      direction: 'up',
      migrationsTable: 'pawl_migrations',
      noLock: true,
      singleTransaction: true,
      log: () => undefined,
    });
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
