// The servers of one comparison: of its own, so that what it does to them is nothing for anybody's data.
import { Client, Connection } from '@temporalio/client';
import { migrate } from '../../activities/ledger/migrate.ts';
import { startPostgres } from '../servers/postgres-server.ts';
import { ensureDatabase, withDatabase } from '../servers/postgres-url.ts';
import { startTemporal } from '../servers/temporal-server.ts';
import type { Scene } from './scene.ts';
import type { Servers } from './system.ts';

/** Starts both and migrates the ledger; the scene's end stops them. */
export async function openServers({ say, signal, atEnd }: Scene): Promise<Servers> {
  const env = { ...process.env, TEMPORAL_ADDRESS: undefined, DATABASE_URL: undefined };
  const onProgress = ({ message }: { message: string }): void => say(message);
  const temporal = await startTemporal({ ephemeral: true, env, onProgress, signal });
  atEnd(() => temporal.stop());
  const postgres = await startPostgres({ ephemeral: true, env, onProgress });
  atEnd(() => postgres.stop());
  const databaseUrl = withDatabase(postgres.url, 'contrast');
  await ensureDatabase(postgres.url, 'contrast');
  await migrate(databaseUrl);
  const connection = await Connection.connect({ address: temporal.address });
  atEnd(() => connection.close());
  const client = new Client({ connection });
  return { client, temporalAddress: temporal.address, databaseUrl };
}
