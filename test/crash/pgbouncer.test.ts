// PgBouncer in transaction mode between Pawl and PostgreSQL: four server connections, shared by everybody, one transaction at a time.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../activities/clock.ts';
import { noCrash } from '../../activities/effects/crash-points.ts';
import { reconcile } from '../../activities/effects/reconcile.ts';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import { migrate } from '../../activities/ledger/migrate.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import { PawlClient } from '../../client/index.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import { withConnection } from '../../devstack/servers/postgres-url.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  testTemporalAddress,
} from '../../devstack/test-database.ts';
import { effectLedgerContract } from '../../testing/effect-ledger-contract.ts';
import { createBench } from '../../testing/effect-ledger-fixture.ts';
import { createLedgerBench, type LedgerBench } from '../contract/support-ledger.ts';
import { guarantee } from '../guarantee.ts';
import { audit, settleByTheBank, startRun, type StartedRun, untilQuiet } from './fixtures/books.ts';
import { findPgBouncer, type PgBouncer, startPgBouncer } from './fixtures/pg-bouncer.ts';
import { createPayerScript } from './fixtures/payer-script.ts';
import { isAlive, planRun, troubleOf } from './fixtures/trouble.ts';
import { createWorld, type World } from './fixtures/world.ts';

const TEST_MS = 360_000;
const executable = findPgBouncer();
const LOGIN = 'pawl_test_bounced';
const PASSWORD = randomUUID();

/** What is opened here is closed at the end, the last one first. */
const open: (() => Promise<unknown>)[] = [];
let bouncer: PgBouncer;
let under: LedgerBench;
let database: Database;

/** A login that may do what a worker may: a pooler takes no `options` that would set a role. */
async function createLogin(url: string): Promise<void> {
  await withConnection(url, async (client) => {
    await client.query(`drop role if exists ${LOGIN}`);
    await client.query(`create role ${LOGIN} login password '${PASSWORD}' in role pawl_engine`);
  });
  open.push(() => withConnection(url, (client) => client.query(`drop role ${LOGIN}`)));
}

const asLogin = (url: string): string =>
  Object.assign(new URL(url), { username: LOGIN, password: PASSWORD }).href;

async function setUp(): Promise<void> {
  under = await createLedgerBench();
  const server = Object.assign(new URL(under.url), { pathname: '/postgres' }).href;
  await createLogin(server);
  open.push(() => under.close());
  bouncer = await startPgBouncer({
    ...{ executable: executable ?? '', databaseUrl: under.url },
    logins: { [LOGIN]: PASSWORD },
  });
  open.push(() => bouncer.close());
  database = openDatabase({ url: bouncer.through(asLogin(under.url)) });
  open.push(() => database.close());
}

const behindPgBouncer = executable ? describe : describe.skip;
const title = executable
  ? 'behind PgBouncer in transaction mode'
  : 'behind PgBouncer: SKIPPED, there is no pgbouncer on this machine (apt-get install pgbouncer)';

behindPgBouncer(title, () => {
  beforeAll(setUp, 60_000);
  afterAll(async () => {
    for (const close of open.reverse()) await close();
  });

  effectLedgerContract('PostgreSQL behind PgBouncer, as a worker’s login', async () => ({
    ...under,
    ledger: await createPostgresEffectLedger(database),
  }));

  describe('prepared statements', () => {
    guarantee(
      'database-trouble',
      '200 by 20 at once, over four connections that are not ours → each executed once; where the pooler loses their names that is told once',
      async () => {
        await under.database.query('create table public.noted (text text)');
        await under.database.query('grant insert on public.noted to pawl_engine');
        const warnings: string[] = [];
        const busy = openDatabase({
          url: bouncer.through(asLogin(under.url)),
          connectionsMax: 20,
          warn: (message) => warnings.push(message),
        });
        const texts = Array.from({ length: 200 }, (_, at) => `note ${at}`);
        const note = (text: string) =>
          busy.query('insert into public.noted values ($1)', [text], { isPrepared: true });
        await Promise.all(texts.map(note));
        await busy.close();
        const noted = await under.database.query<{ text: string }>('select text from public.noted');
        expect(noted.map(({ text }) => text).toSorted()).toEqual(texts.toSorted());
        expect(warnings).toHaveLength(bouncer.keepsStatements ? 0 : 1);
      },
    );
  });

  describe('migrations', () => {
    guarantee(
      'database-trouble',
      'eight at once on an empty database, each through the pooler → one does it, and no lock stays behind',
      async () => {
        const empty = await createTestDatabase();
        const through = bouncer.through(empty.url);
        const all = await Promise.allSettled(Array.from({ length: 8 }, () => migrate(through)));
        const failures = all.flatMap((one) =>
          one.status === 'rejected' ? [String(one.reason)] : [],
        );
        expect(failures).toEqual([]);
        const locks = await withConnection(empty.url, (client) =>
          client.query(
            `select 1 from pg_locks l join pg_database d on d.oid = l.database
             where l.locktype = 'advisory' and d.datname = current_database()`,
          ),
        );
        expect(locks.rowCount).toBe(0);
        expect(await migrate(empty.url)).toEqual([]);
        await dropTestDatabase(empty);
      },
      TEST_MS,
    );
  });

  describe('the reconciler', () => {
    guarantee(
      ['database-trouble', 'law-11-reconciler'],
      'one sweep through the pooler → what was sent without an answer is in doubt',
      async () => {
        const ledger = await createPostgresEffectLedger(database);
        const bench = createBench({ ...under, ledger });
        const intent = await bench.dispatched({ contract: 'once' }, { leaseMs: 1 });
        await bench.leaseEnds(intent);
        const workflows = {
          isRunning: () => Promise.resolve(false),
          signal: () => Promise.resolve(false),
        };
        const report = await reconcile({
          ...{ database, ledger, workflows, tools: new Map(), wire: fetch, crash: noCrash },
          clock: systemClock,
        });
        expect(report.doubted).toBeGreaterThanOrEqual(1);
        expect((await bench.read(intent)).state.status).toBe('in_doubt');
      },
      TEST_MS,
    );
  });

  describe('payments', () => {
    const { seed, seconds } = troubleOf(5);
    let world: World;
    beforeAll(async () => {
      world = await createWorld({
        script: createPayerScript(),
        between: (url) => Promise.resolve(bouncer.through(url)),
      });
    }, 60_000);
    // Before the server that its database is on loses the pooler.
    afterAll(() => world.close());

    guarantee(
      'database-trouble',
      `for ${seconds} s, while the pooler’s connections are terminated again and again, seed ${seed} → no duplicate, nothing lost, nothing silent, the worker lives`,
      async () => {
        const random = seededRandom(seed);
        const taskQueue = 'pgbouncer';
        const worker = await world.startWorker({ taskQueue });
        const runs: StartedRun[] = [];
        const endsAtMs = Date.now() + seconds * 1_000;
        let terminated = 0;
        for (let at = 1; Date.now() < endsAtMs; at += 1) {
          const plan = planRun(world, `bounced-${at}`, random);
          runs.push(await startRun(world, { ...plan, taskQueue }));
          if (random() < 0.2) terminated += await terminateServerConnections(world);
        }
        await untilQuiet(world, runs);
        const pawl = await PawlClient.connect({
          temporalAddress: testTemporalAddress(),
          databaseUrl: bouncer.through(world.databaseUrl),
        });
        const doubts = await pawl.doubts();
        const books = await audit(world, runs);
        process.stderr.write(
          `PgBouncer, seed ${seed}: ${runs.length} workflows, ${terminated} connections terminated, ` +
            `${JSON.stringify(books.counts)}, ${doubts.length} doubts\n`,
        );
        expect(books.wrong).toEqual([]);
        await settleByTheBank({ ...world, pawl }, runs);
        expect((await audit(world, runs)).wrong).toEqual([]);
        expect(isAlive(worker.pid)).toBe(true);
        await pawl.close();
      },
      TEST_MS + seconds * 2_000,
    );

    it('an agent’s run through the pooler → completed', async () => {
      const { runKey } = await world.startRun('pgbouncer', 'payer', {
        label: 'bounced',
        payments: 2,
      });
      expect(await world.pawl.result(runKey)).toMatchObject({ result: { kind: 'completed' } });
    });
  });
});

async function terminateServerConnections({ sql }: World): Promise<number> {
  const rows = await sql(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and application_name not like 'pawl-%'`,
  );
  return rows.length;
}
