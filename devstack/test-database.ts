// Databases for tests on the shared test PostgreSQL: one per test file, empty or cloned from a
// template.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type pg from 'pg';

import { withConnection, withDatabase } from './servers/postgres-url.ts';
import { TEST_DATABASE_URL, TEST_TEMPORAL_ADDRESS } from './test-servers.ts';

const TEMPLATE_WAIT_MS = 60_000;
const OBJECT_IN_USE = '55006';

/** Fills the database at this URL. */
export type FillDatabase = (url: string) => Promise<void>;

/** A database of one test file. */
export interface TestDatabase {
  readonly name: string;
  readonly url: string;
}

function readVariable(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new Error(
    `${name} is not set. Run the tests with Jest, whose global set-up starts the test servers, or set it yourself.`,
  );
}

/** Where the Temporal of the tests is, `127.0.0.1:43210`. */
export function testTemporalAddress(): string {
  return readVariable(TEST_TEMPORAL_ADDRESS);
}

const adminUrl = (): string => withDatabase(readVariable(TEST_DATABASE_URL), 'postgres');

async function createDatabase(name: string, template: string | undefined): Promise<void> {
  const deadlineMs = Date.now() + TEMPLATE_WAIT_MS;
  for (;;) {
    try {
      return await withConnection(adminUrl(), async (client) => {
        const from = template === undefined ? '' : ` template ${client.escapeIdentifier(template)}`;
        await client.query(`create database ${client.escapeIdentifier(name)}${from}`);
      });
    } catch (error) {
      // A template can be cloned only while nobody is connected to it, another test's clone
      // included.
      const isBusy = (error as { code?: unknown }).code === OBJECT_IN_USE;
      if (!isBusy || Date.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

/** Creates a database with a name of its own: empty, or a clone of `template`. */
export async function createTestDatabase({
  template,
}: { template?: string } = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  await createDatabase(name, template);
  return { name, url: withDatabase(adminUrl(), name) };
}

/** Drops it, with whoever is still connected. */
export async function dropTestDatabase({ name }: TestDatabase): Promise<void> {
  await withConnection(adminUrl(), async (client) => {
    await client.query(`drop database if exists ${client.escapeIdentifier(name)} with (force)`);
  });
}

async function makeTemplate(client: pg.Client, name: string, fill: FillDatabase): Promise<void> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
  if (rowCount !== 0) return;
  const draft = await createTestDatabase();
  try {
    await fill(draft.url);
    const [from, to] = [client.escapeIdentifier(draft.name), client.escapeIdentifier(name)];
    await client.query(`alter database ${from} rename to ${to}`);
  } catch (error) {
    await dropTestDatabase(draft);
    throw error;
  }
}

/**
 * Makes the template `name` once per run, however many test processes ask for it, and returns its
 * name: `fill` gets the URL of a draft (to migrate it) and must close its connections; the draft
 * becomes the template when it has succeeded.
 */
export async function ensureTemplateDatabase(name: string, fill: FillDatabase): Promise<string> {
  await withConnection(adminUrl(), async (client) => {
    // Held by this connection: the other test processes wait here until the template is made.
    await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [name]);
    await makeTemplate(client, name, fill);
  });
  return name;
}
