// What a measurement ran on: the versions of SDK, Temporal and PostgreSQL, and how the latter writes to its disk.
import { createRequire } from 'node:module';
import type { Client } from '@temporalio/client';
import { withConnection } from '../devstack/servers/postgres-url.ts';

const NAMES = ['server_version', 'fsync', 'synchronous_commit', 'wal_sync_method'];

/** For the first lines of a report. */
export async function readServerSettings(
  temporal: Client,
  databaseUrl: string,
): Promise<Readonly<Record<string, string>>> {
  const { serverVersion } = await temporal.workflowService.getSystemInfo({});
  const sdk = createRequire(import.meta.url)('@temporalio/worker/package.json') as {
    version: string;
  };
  const [version = '', ...values] = await withConnection(databaseUrl, async (client) => {
    const { rows } = await client.query<{ values: string[] }>(
      'select array(select current_setting(name) from unnest($1::text[]) as name) as values',
      [NAMES],
    );
    return rows[0]?.values ?? [];
  });
  const others = NAMES.slice(1).map((name, at): [string, string] => [name, values[at] ?? '']);
  return {
    'Temporal SDK': sdk.version,
    server: serverVersion,
    PostgreSQL: version.split(' ')[0] ?? version,
    ...Object.fromEntries(others),
  };
}
