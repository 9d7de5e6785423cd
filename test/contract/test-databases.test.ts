// The shared test servers and the databases on them.
import { afterAll, describe, expect, it } from '@jest/globals';

import { withConnection } from '../../devstack/servers/postgres-url.ts';
import { describeNamespace } from '../../devstack/servers/temporal-ready.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  ensureTemplateDatabase,
  testTemporalAddress,
} from '../../devstack/test-database.ts';
import type { TestDatabase } from '../../devstack/test-database.ts';

const made: TestDatabase[] = [];
afterAll(async () => {
  await Promise.all(made.map(dropTestDatabase));
});

async function create(template?: string): Promise<TestDatabase> {
  const database = await createTestDatabase(template === undefined ? {} : { template });
  made.push(database);
  return database;
}

const readWords = (url: string): Promise<string[]> =>
  withConnection(url, async (client) => {
    const { rows } = await client.query<{ word: string }>('select word from words order by word');
    return rows.map(({ word }) => word);
  });

describe('the servers that all tests share', () => {
  it('the Temporal of the run → serves the namespace default', async () => {
    await expect(describeNamespace(testTemporalAddress(), 'default')).resolves.toBeUndefined();
  });

  it('eight clones of one template at once, asked for by several → filled once, each its own', async () => {
    let fills = 0;
    const name = `template_${process.pid}_${Date.now()}`;
    const fill = (url: string): Promise<void> =>
      withConnection(url, async (client) => {
        fills += 1;
        await client.query(`create table words (word text); insert into words values ('pawl')`);
      });
    made.push({ name, url: '' });
    await Promise.all([1, 2, 3].map(() => ensureTemplateDatabase(name, fill)));
    const clones = await Promise.all(Array.from({ length: 8 }, () => create(name)));
    const [first] = clones;
    await withConnection(first?.url ?? '', (client) =>
      client.query(`insert into words values ('ratchet')`),
    );

    expect(await Promise.all(clones.map(({ url }) => readWords(url)))).toEqual([
      ['pawl', 'ratchet'],
      ...Array.from({ length: 7 }, () => ['pawl']),
    ]);
    expect(fills).toBe(1);
    await ensureTemplateDatabase(name, () => Promise.reject(new Error('not again')));
  });

  it('a dropped database with a connection in it → gone', async () => {
    const database = await create();
    await withConnection(database.url, async (client) => {
      await dropTestDatabase(database);
      await expect(client.query('select 1')).rejects.toThrow(/terminat|connection error/i);
    });
    await expect(readWords(database.url)).rejects.toThrow(
      `database "${database.name}" does not exist`,
    );
  });
});
