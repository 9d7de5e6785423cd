// Statements that keep their plan under a name: asked again without it where PostgreSQL or a pooler does not have it.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import { createBench } from '../../testing/effect-ledger-fixture.ts';
import { createLedgerBench, type LedgerBench } from './support-ledger.ts';

const NOTE = 'insert into public.noted (text) values ($1) returning id';
const LOOK_UP = 'select text from public.filled where a = $1 and b = $2';
/** More than what a connection is asked before its plans are made anew. */
const MANY = 130;

let under: LedgerBench;
let database: Database;
let warnings: string[];

/** One connection: what was prepared on it is there, and can be taken away. */
const open = (): Database =>
  openDatabase({
    ...{ url: under.url, connectionsMax: 1 },
    warn: (message) => warnings.push(message),
  });

const note = (text: string) => database.query(NOTE, [text], { isPrepared: true });
const lookUp = () => database.query(LOOK_UP, [7, 7], { isPrepared: true });

async function preparedNames(): Promise<readonly string[]> {
  const rows = await database.query<{ name: string }>(
    "select name from pg_prepared_statements where name like 'pawl%' order by name",
  );
  return rows.map(({ name }) => name);
}

async function notes(): Promise<readonly string[]> {
  const rows = await under.database.query<{ text: string }>(
    'select text from public.noted order by id',
  );
  return rows.map(({ text }) => text);
}

/** The plan that the connection has for its one prepared statement. */
async function planOfLookUp(): Promise<string> {
  const rows = await database.query<{ 'QUERY PLAN': string }>(
    `explain (costs off) execute ${(await preparedNames())[0]} (7, 7)`,
  );
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

beforeAll(async () => {
  under = await createLedgerBench();
  await under.database.query(
    'create table public.noted (id integer generated always as identity, text text)',
  );
  await under.database.query(
    `create table public.filled (a integer, b integer, text text, primary key (a, b))
     with (autovacuum_enabled = off)`,
  );
});
afterAll(() => under.close());
beforeEach(async () => {
  warnings = [];
  await under.database.query('truncate public.noted');
  database = open();
});
afterEach(() => database.close());

describe('a prepared statement', () => {
  it('asked three times on one connection → parsed once, under a name that another connection gives it too', async () => {
    for (const text of ['a', 'b', 'c']) await note(text);
    const names = await preparedNames();
    expect(names).toEqual([expect.stringMatching(/^pawl_[0-9a-f]{32}$/)]);
    await database.close();
    database = open();
    await note('d');
    expect(await preparedNames()).toEqual(names);
    expect(await notes()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('inside a transaction → goes without a name: a refusal could not be taken back there', async () => {
    await database.transaction((tx) => tx.query(NOTE, ['in']));
    expect(await preparedNames()).toEqual([]);
  });

  it('refused for another reason → that error, and names stay', async () => {
    await note('a');
    await expect(
      database.query('select 1 / $1::integer', [0], { isPrepared: true }),
    ).rejects.toMatchObject({ code: '22012' });
    expect(warnings).toEqual([]);
    expect(await preparedNames()).toHaveLength(2);
  });

  it('gone from the connection (26000) → executed once, told once, and no names from then on', async () => {
    await note('a');
    await database.query('deallocate all');
    await note('b');
    await note('c');
    expect(await notes()).toEqual(['a', 'b', 'c']);
    expect(warnings).toEqual([expect.stringMatching(/does not exist\).*max_prepared_statements/)]);
    expect(await preparedNames()).toEqual([]);
  });

  it('there already, by somebody else of the pooler’s clients (42P05) → executed once, told once', async () => {
    await note('a');
    const [name] = await preparedNames();
    await database.close();
    database = open();
    await database.query(`prepare ${name} as select 'not what was asked for'`);
    await note('b');
    await note('c');
    expect(await notes()).toEqual(['a', 'b', 'c']);
    expect(warnings).toEqual([expect.stringContaining('already exists')]);
  });
});

describe('plans', () => {
  it('made while a table was empty → made anew once it has filled, with nobody analysing it', async () => {
    await under.database.query('analyze public.filled');
    for (let at = 0; at < 10; at += 1) await lookUp();
    expect(await planOfLookUp()).toContain('Seq Scan');
    await under.database.query(
      'insert into public.filled select n, n, n::text from generate_series(1, 20000) n',
    );
    expect(await planOfLookUp()).toContain('Seq Scan');
    for (let at = 0; at < MANY; at += 1) await lookUp();
    const plan = await planOfLookUp();
    expect(plan).toContain('Index Scan');
    expect(plan).toContain('$1');
  });
});

describe('a migration', () => {
  it('adds a column beneath a running ledger → its statements go on by their names', async () => {
    const ledger = await createPostgresEffectLedger(database);
    const bench = createBench({ ...under, ledger });
    const live = async () => {
      const intent = await bench.dispatched({ contract: 'keyed' });
      await ledger.begin(intent.tenant, intent.id, intent.rootKey);
      return intent;
    };
    await live();
    const before = await preparedNames();
    expect(before.length).toBeGreaterThan(0);
    await under.database.query('alter table pawl.effects add column new_in_next_build text');
    const intent = await live();
    expect((await bench.read(intent)).state.status).toBe('dispatched');
    expect(warnings).toEqual([]);
    expect(await preparedNames()).toEqual(before);
  });
});
