// A lock as a migration or a forgotten session has it: what needs it stands still and has not failed.
import pg from 'pg';

/** Takes it with the statement, in a transaction of its own. */
export async function holdLock(databaseUrl: string, statement: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query(statement, values);
  return {
    /** How long the one who waits longest for it has waited, in milliseconds; 0 while nobody does. */
    async waitedMs(): Promise<number> {
      const { rows } = await client.query<{ ms: number }>(
        `select coalesce(max(extract(epoch from clock_timestamp() - waitstart)), 0)::float8 * 1000 as ms
         from pg_locks where not granted and pg_backend_pid() = any (pg_blocking_pids(pid))`,
      );
      return rows[0]?.ms ?? 0;
    },
    release: () => client.end(),
  };
}
