// A fresh, migrated database for one test run, on whatever PostgreSQL the tests have.
import { randomBytes } from 'node:crypto';
import { migrate } from '../activities/ledger/migrate.ts';
import { withConnection, withDatabase } from '../devstack/servers/postgres-url.ts';
import type { CleanUps } from './clean-ups.ts';

/** Makes the database beside the one of `serverUrl`, which is left alone; returns its address. */
export async function createFreshDatabase(serverUrl: string, cleanUps: CleanUps): Promise<string> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await withConnection(serverUrl, (client) => client.query(`create database ${name}`));
  cleanUps.add(() =>
    // With whoever is still connected.
    withConnection(serverUrl, (client) => client.query(`drop database ${name} with (force)`)),
  );
  const url = withDatabase(serverUrl, name);
  await migrate(url);
  return url;
}
