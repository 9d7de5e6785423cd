// The effect ledger on PostgreSQL: the conformance suite, as the engine's own role, and what only a database can promise.
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type Database,
  LedgerUnavailable,
  openDatabase,
} from '../../activities/ledger/database.ts';
import { toIntendedRecord } from '../../activities/ledger/effect-rows.ts';
import { migrate } from '../../activities/ledger/migrate.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import { createTestDatabase, dropTestDatabase } from '../../devstack/test-database.ts';
import { effectLedgerContract } from '../../testing/effect-ledger-contract.ts';
import { type Bench, createBench } from '../../testing/effect-ledger-fixture.ts';
import { asRole, createLedgerBench, type LedgerBench, withLooks } from './support-ledger.ts';

const open: { close(): Promise<void> }[] = [];
const opening = <T extends { close(): Promise<void> }>(opened: T): T => {
  open.push(opened);
  return opened;
};
afterAll(async () => {
  for (const each of open.reverse()) await each.close();
});

effectLedgerContract('PostgreSQL, as the role pawl_engine', async () =>
  opening(await createLedgerBench({ role: 'pawl_engine' })),
);

describe.each([
  ['just now', false],
  ['once, long ago', true],
])('an effect as it was seen %s', (when, isStale) => {
  effectLedgerContract(`PostgreSQL, told what was seen ${when}`, async () => {
    const under = opening(await createLedgerBench({ role: 'pawl_engine' }));
    return { ...under, ledger: withLooks(under.ledger, { isStale }) };
  });
});

describe('the ledger’s database', () => {
  let under: LedgerBench;
  let bench: Bench;
  beforeAll(async () => {
    under = opening(await createLedgerBench());
    bench = createBench(under);
  });
  const as = (role: string): Database =>
    opening(openDatabase({ url: asRole(under.url, role), connectionsMax: 2 }));

  it('eight migrations at once on an empty database → one of them does it', async () => {
    const empty = await createTestDatabase();
    const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(empty.url)));
    const files = await readdir(join(import.meta.dirname, '../../activities/ledger/migrations'));
    expect(applied.flat()).toEqual(files.sort().map((file) => parse(file).name));
    await expect(migrate(empty.url)).resolves.toEqual([]);
    await dropTestDatabase(empty);
  });

  it('an intent that was just stored → its record as a look reads it', async () => {
    const intent = await bench.intended({
      identityHash: 'i-1',
      amount: { minor: 5, currency: 'EUR' },
    });
    const read = await bench.read(intent);
    expect(toIntendedRecord(intent, read.wireKey, read.version)).toEqual(read);
  });

  it('no migration is missing → it only reads: a role that may make nothing can do it', async () => {
    await expect(migrate(asRole(under.url, 'pawl_engine'))).resolves.toEqual([]);
  });

  it.each([
    ['effect_facts', `update pawl.effect_facts set kind = 'applied'`],
    ['effect_facts', 'delete from pawl.effect_facts'],
    ['effect_facts', 'truncate pawl.effect_facts'],
    ['effect_requests', `update pawl.effect_requests set body = ''`],
    ['effect_requests', 'delete from pawl.effect_requests'],
    ['effect_requests', 'truncate pawl.effect_requests'],
  ])('%s: %s → refused, even for the owner', async (table, statement) => {
    await bench.dispatched();
    await expect(under.database.query(statement)).rejects.toMatchObject({
      message: `pawl.${table} is append-only`,
      code: '42501',
    });
  });

  it.each([
    [
      'decisions',
      `insert into pawl.decisions values ('acme', 'ap_1', 'd1', 'approve', 'me', null, '', now())`,
    ],
    [
      'settlements',
      `insert into pawl.settlements values ('acme', 'e', 's', 'applied', null, '', 'me', now())`,
    ],
    ['controls', `update pawl.controls set paused_at = null`],
    [
      'controls',
      `insert into pawl.controls (tenant, run_key, paused_at) values ('acme', 'r', now())`,
    ],
    ['effects', 'delete from pawl.effects'],
    ['effect_facts', 'delete from pawl.effect_facts'],
    ['approvals', `update pawl.approvals set expires_at = now() + interval '1 year'`],
    ['meta', `update pawl.meta set key_secret = ''`],
  ])('the engine on %s: %s → permission denied', async (table, statement) => {
    await expect(as('pawl_engine').query(statement)).rejects.toMatchObject({
      message: `permission denied for table ${table}`,
      code: '42501',
    });
  });

  it.each([
    ['effects', `update pawl.effects set status = 'applied'`],
    ['effect_facts', `insert into pawl.effect_facts values ('acme', 'e', 1, 'applied', 'human')`],
    ['effect_requests', 'delete from pawl.effect_requests'],
    ['approvals', `insert into pawl.approvals (tenant) values ('acme')`],
    ['decisions', `update pawl.decisions set decision = 'approve'`],
    ['settlements', 'delete from pawl.settlements'],
    ['transcript', `insert into pawl.transcript (tenant) values ('acme')`],
    ['meta', 'select key_secret from pawl.meta'],
  ])('the service on %s: %s → permission denied', async (table, statement) => {
    await expect(as('pawl_service').query(statement)).rejects.toMatchObject({
      message: `permission denied for table ${table}`,
      code: '42501',
    });
  });

  it('a pause that is being written → the dispatch waits for it and is refused', async () => {
    const intent = await bench.intended();
    await under.setControl('acme', intent.runKey, {});
    let dispatch: Promise<unknown> = Promise.resolve();
    await under.database.transaction(async (tx) => {
      await tx.query(`update pawl.controls set paused_at = now() where run_key = $1`, [
        intent.runKey,
      ]);
      dispatch = bench.dispatch(intent);
      await lockWaiters(under.database);
    });
    expect(await dispatch).toEqual({ kind: 'paused' });
  });

  it('a connection that breaks inside a transaction → LedgerUnavailable, and the process lives', async () => {
    const database = opening(openDatabase({ url: under.url, connectionsMax: 1 }));
    const broken = database.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      const ended = once(tx, 'end');
      await under.database.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
      await ended;
      await tx.query('select 1');
    });
    await expect(broken).rejects.toBeInstanceOf(LedgerUnavailable);
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('a database that is not there → LedgerUnavailable, with the cause', async () => {
    const database = opening(openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none' }));
    await expect(database.query('select 1')).rejects.toThrow(
      "The ledger's database does not answer: connect ECONNREFUSED 127.0.0.1:1",
    );
    await expect(createPostgresEffectLedger(database)).rejects.toBeInstanceOf(LedgerUnavailable);
  });

  it('outcomes that cross limited sends of the same identity → no deadlock', async () => {
    const { runKey, rootKey } = await bench.intended();
    const crossing = Array.from({ length: 40 }, async (_, index) => {
      const same = {
        runKey,
        rootKey,
        identityHash: `crossing ${index}`,
        contract: 'keyed',
      } as const;
      const holder = await bench.dispatched(same);
      const other = await bench.intended(same);
      await Promise.all([
        bench.dispatch(other, { callsPerRunMax: 1_000 }),
        bench.append(holder, { kind: 'refused', source: 'human', code: 'x', message: 'x' }),
      ]);
    });
    await Promise.all(crossing);
    const [stats] = await under.database.query<{ deadlocks: number }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(stats?.deadlocks).toBe(0);
  });
});

/** Resolves when somebody waits for a lock. */
async function lockWaiters(database: Database): Promise<void> {
  for (;;) {
    const rows = await database.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (rows.length > 0) return;
  }
}
