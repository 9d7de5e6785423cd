// A lock as a migration or a forgotten session has it: what needs it stands still and has not failed.
import pg from 'pg';

/** How long the one who waits longest for the lock has waited, in milliseconds; 0 while nobody does. */
export type WaitedMs = () => Promise<number>;

/** Takes the lock with the statement, in a transaction of its own, and keeps it until the body has ended. */
export async function whileLocked<T>(
  databaseUrl: string,
  { statement, values = [] }: { readonly statement: string; readonly values?: unknown[] },
  body: (waitedMs: WaitedMs) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('begin');
    await client.query(statement, values);
    return await body(async () => {
      const { rows } = await client.query<{ ms: number }>(
        `select coalesce(max(extract(epoch from clock_timestamp() - waitstart)), 0)::float8 * 1000 as ms
         from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid))`,
      );
      return rows[0]?.ms ?? 0;
    });
  } finally {
    await client.end();
  }
}
