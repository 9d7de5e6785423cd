// Counts commits where they happen, in PostgreSQL: by triggers which say how each one waits, and by flushes of its log.
import type pg from 'pg';
import { withConnection } from '../../devstack/servers/postgres-url.ts';
import { until } from '../../testing/until.ts';

export interface Commits {
  /** Transactions that wrote and waited for the disk (`synchronous_commit` was not off). */
  readonly durable: number;
  /** Transactions that wrote and left the flush to a later one. */
  readonly asynchronous: number;
  /** Transactions of any kind; those that only read cost no flush. */
  readonly all: number;
  /** How often PostgreSQL has flushed its log meanwhile, its own flushes included; null with `fsync = off`. */
  readonly flushes: number | null;
}

/** Worker rows are heartbeats of the process: they belong to no effect. */
const UNCOUNTED = ['pawl.workers'];

const COUNTER = `
  create table bench.commits (xid bigint primary key, mode text not null);
  create function bench.note_commit() returns trigger language plpgsql as $$
  begin
    insert into bench.commits values (txid_current(), current_setting('synchronous_commit'))
      on conflict do nothing;
    return null;
  end $$;`;

/**
 * What `work` makes this database commit. A trigger on every table notes each writing transaction and its
 * \`synchronous_commit\`, inside of that transaction: what is rolled back is not counted. \`work\` must close its
 * connections: only then have they handed in their counters.
 */
export async function countCommits(
  databaseUrl: string,
  work: () => Promise<void>,
): Promise<Commits> {
  await withConnection(databaseUrl, async (client) => {
    await untilAlone(client);
    await client.query(COUNTER);
    for (const table of await countedTables(client)) {
      await client.query(
        `create trigger bench_note_commit after insert or update or delete on ${table}
         for each row execute function bench.note_commit()`,
      );
    }
  });
  const before = await withConnection(databaseUrl, readCounters);
  await work();
  return withConnection(databaseUrl, async (client) => {
    await untilAlone(client);
    const after = await readCounters(client);
    const noted = await readNoted(client);
    await client.query('drop function bench.note_commit() cascade; drop table bench.commits');
    const flushes =
      after.flushes === null || before.flushes === null ? null : after.flushes - before.flushes;
    return { ...noted, all: after.commits - before.commits, flushes };
  });
}

async function untilAlone(client: pg.Client): Promise<void> {
  await until(
    async () => {
      const { rows } = await client.query<{ others: number }>(
        `select count(*)::integer as others from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`,
      );
      return rows[0]?.others === 0;
    },
    { what: 'the end of every other connection to the database' },
  );
}

async function countedTables(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname in ('pawl', 'bench') and tablename <> 'commits'`,
  );
  return rows.map(({ name }) => name).filter((name) => !UNCOUNTED.includes(name));
}

async function readNoted(client: pg.Client): Promise<Pick<Commits, 'durable' | 'asynchronous'>> {
  const { rows } = await client.query<{ durable: number; asynchronous: number }>(
    `select count(*) filter (where mode <> 'off')::integer as durable,
            count(*) filter (where mode = 'off')::integer as asynchronous from bench.commits`,
  );
  return rows[0] ?? { durable: 0, asynchronous: 0 };
}

async function readCounters(
  client: pg.Client,
): Promise<{ commits: number; flushes: number | null }> {
  const { rows } = await client.query<{ commits: number }>(
    `select xact_commit::integer as commits from pg_stat_database where datname = current_database()`,
  );
  return { commits: rows[0]?.commits ?? 0, flushes: await readFlushes(client) };
}

async function readFlushes(client: pg.Client): Promise<number | null> {
  const { rows: settings } = await client.query<{ fsync: string; version: number }>(
    `select current_setting('fsync') as fsync, current_setting('server_version_num')::integer as version`,
  );
  const { fsync = 'off', version = 0 } = settings[0] ?? {};
  if (fsync === 'off') return null;
  const source =
    version >= 180_000
      ? `select sum(fsyncs)::integer as flushes from pg_stat_io where object = 'wal'`
      : 'select wal_sync::integer as flushes from pg_stat_wal';
  const { rows } = await client.query<{ flushes: number }>(source);
  return rows[0]?.flushes ?? null;
}
