// Brings the ledger's schema up to this build: plain SQL files, one runner at a time.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
  const givesUpAtMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      const applied = await runner({
        databaseUrl,
        dir: join(packageRoot(), 'activities/ledger/migrations'),
        direction: 'up',
        migrationsTable: 'pawl_migrations',
        log: () => undefined,
      });
      return applied.map(({ name }) => name);
    } catch (error) {
      const isOther = error instanceof Error && error.message.includes('Another migration');
      if (!isOther || Date.now() > givesUpAtMs) throw error;
      await sleep(100 + Math.random() * 200);
    }
  }
}
