// The connection to the ledger breaks around a COMMIT: a proxy cuts it before, after, or while nobody can know. PAWL_DB_TROUBLE_SECONDS=300 makes the storm long; PAWL_DB_TROUBLE_SEED repeats one.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { ulid } from 'ulid';
import { shortId } from '../../activities/effects/fingerprint.ts';
import { openDatabase } from '../../activities/ledger/database.ts';
import { migrate } from '../../activities/ledger/migrate.ts';
import { createPostgresEffectLedger } from '../../activities/ledger/postgres-effect-ledger.ts';
import { DatabaseUnreachableError, PawlClient } from '../../client/index.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import {
  createTestDatabase,
  dropTestDatabase,
  testTemporalAddress,
} from '../../devstack/test-database.ts';
import { newIntent } from '../../testing/effect-ledger-fixture.ts';
import { guarantee } from '../guarantee.ts';
import {
  audit,
  AUDITED_TOOLS,
  settleByTheBank,
  startRun,
  type StartedRun,
  untilQuiet,
} from './fixtures/books.ts';
import { createLane } from './fixtures/lane.ts';
import { payment } from './fixtures/payments.ts';
import {
  type Cut,
  type Place,
  type PostgresProxy,
  startPostgresProxy,
} from './fixtures/postgres-proxy.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';
import { isAlive, planRun, troubleOf } from './fixtures/trouble.ts';

const TEST_MS = 360_000;
const TASK_QUEUE = 'ambiguous-commits';
const { seed, seconds } = troubleOf(8);
let world: World;
let proxy: PostgresProxy;
let worker: Awaited<ReturnType<World['startWorker']>>;

beforeAll(async () => {
  const between = async (url: string): Promise<string> => {
    proxy = await startPostgresProxy(url);
    return proxy.url;
  };
  world = await createWorld({ between });
  worker = await world.startWorker({ taskQueue: TASK_QUEUE });
  // The first request of a process is slow: it must not look like a fault.
  const order = { tool: 'pay_keyed', input: payment('warm-up'), taskQueue: TASK_QUEUE };
  await (await world.startEffect(order)).handle.result();
}, 180_000);
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
  await world.close();
  await proxy.close();
});

interface Case {
  readonly tool: string;
  readonly place: Place;
  readonly cut: Cut;
}

interface Seen {
  readonly status: string | undefined;
  readonly sends: number | undefined;
  readonly hasConflict: boolean | undefined;
  readonly facts: readonly string[];
  readonly requests: number;
  readonly receipts: number;
  readonly isInDoubts: boolean;
  readonly cuts: number;
}

const APPLIED = {
  ...{ status: 'applied', sends: 1, hasConflict: false, isInDoubts: false, cuts: 1 },
  ...{ requests: 1, receipts: 1, facts: ['intended', 'dispatched', 'applied'] },
};

/** What has to come of a case; the permit that nobody has heard of counts as a send that may have happened. */
function predict({ tool, place, cut }: Case): Seen {
  if (cut === 'before' || place === 'intent') return APPLIED;
  // The same observation twice: the second append could not know that the first one had committed.
  if (place === 'settle') return { ...APPLIED, facts: [...APPLIED.facts, 'applied'] };
  const again = ['dispatched', 'applied'];
  switch (tool) {
    case 'pay_keyed':
      return { ...APPLIED, sends: 2, facts: ['intended', 'dispatched', ...again] };
    case 'pay_reconcilable':
      // Looked up until two answers count, then sent.
      return {
        ...APPLIED,
        sends: 2,
        facts: ['intended', 'dispatched', 'probed_absent', 'probed_absent', ...again],
      };
    default:
      return {
        ...APPLIED,
        ...{ status: 'in_doubt', isInDoubts: true, requests: 0, receipts: 0 },
        facts: ['intended', 'dispatched', 'doubted'],
      };
  }
}

const CASES: readonly Case[] = AUDITED_TOOLS.flatMap((tool) =>
  (['intent', 'dispatch', 'settle'] as const).flatMap((place) =>
    (['before', 'answer-lost'] as const).map((cut): Case => ({ tool, place, cut })),
  ),
);

async function carryOut({ tool, place, cut }: Case): Promise<Seen & { readonly end: unknown }> {
  const runKey = `run_${ulid()}`;
  const reference = `${tool}-${place}-${cut}`;
  // A bank without keys: a second request would be a second payment.
  if (tool !== 'pay_keyed') world.bank.setMode(reference, 'no-idempotency');
  proxy.order({ place, cut, names: runKey });
  const input = payment(reference);
  const { handle } = await world.startEffect({ tool, input, taskQueue: TASK_QUEUE, runKey });
  const effect = await eventually(`${reference} is settled or in doubt`, async () => {
    const now = await world.effectOf(runKey);
    return now && ['applied', 'refused', 'in_doubt'].includes(now.status) && now;
  });
  const doubts = await world.pawl.doubts();
  const requests = writesFor(world.bank, reference).length;
  if (effect.status === 'in_doubt') {
    await world.pawl.settle(effect.effect, {
      ...{ outcome: 'not_applied', evidence: 'not in the statement', by: 'olga' },
    });
  }
  const end: unknown = await handle.result().catch((error: { cause: unknown }) => error.cause);
  const facts = await world.sql(
    `select f.kind from pawl.effect_facts f join pawl.effects e on e.tenant = f.tenant and e.id = f.effect_id
     where e.run_key = $1 and f.kind <> 'probed_unclear' and f.source <> 'human' order by f.ordinal`,
    [runKey],
  );
  return {
    ...{ status: effect.status, sends: effect.sends, hasConflict: effect.hasConflict },
    facts: (facts as { kind: string }[]).map(({ kind }) => kind),
    requests,
    receipts: world.bank.receipts({ reference }).length,
    isInDoubts: doubts.some((doubt) => doubt.effect === effect.effect),
    cuts: proxy.cuts(runKey).length,
    end,
  };
}

describe('the connection breaks at one COMMIT', () => {
  // More at once would make the bank's answers late.
  const lane = createLane(4);
  const seen = new Map(CASES.map((each) => [each, lane.plan(() => carryOut(each))]));
  beforeAll(() => lane.start());
  guarantee.each(
    ['database-trouble', 'law-05-write-ahead'],
    CASES.map((each) => {
      const { status, requests, receipts } = predict(each);
      const counts = `${requests} requests, ${receipts} receipts`;
      return [each.tool, each.place, each.cut, `${status}, ${counts}`, each] as const;
    }),
  )(
    '%s, %s, %s → %s',
    async (_tool, _place, _cut, _outcome, each) => {
      const { end, ...rest } = (await seen.get(each)) ?? { end: undefined };
      expect(rest).toEqual(predict(each));
      const isApplied = predict(each).status === 'applied';
      expect(end).toMatchObject(
        isApplied ? { transferId: expect.any(String) } : { type: 'Effect.Refused' },
      );
    },
    TEST_MS,
  );
});

describe('connections break at every fourth COMMIT', () => {
  guarantee(
    'database-trouble',
    `before, after or while it is under way, for ${seconds} s, seed ${seed} → no duplicate, nothing lost, nothing silent, the worker lives`,
    async () => {
      const random = seededRandom(seed);
      const before = proxy.cuts().length;
      const cuts: readonly Cut[] = ['before', 'answer-lost', 'in-flight'];
      proxy.cutBy(() => (random() < 0.25 ? cuts[Math.floor(random() * 3)] : undefined));
      const runs: StartedRun[] = [];
      const endsAtMs = Date.now() + seconds * 1_000;
      while (Date.now() < endsAtMs) {
        const plan = planRun(world, `storm-${runs.length}`, random);
        runs.push(await startRun(world, { ...plan, taskQueue: TASK_QUEUE }));
        await eventually('the worker keeps up', () => runs.filter(({ end }) => !end).length < 30);
      }
      proxy.cutBy(() => undefined);
      const doubts = await untilQuiet(world, runs);
      expect(isAlive(worker.pid)).toBe(true);
      const books = await audit(world, runs);
      process.stderr.write(
        `ambiguous commits, seed ${seed}: ${runs.length} workflows, ${proxy.cuts().length - before} cuts, ` +
          `${JSON.stringify(books.counts)}, ${doubts.length} doubts\n`,
      );
      expect(books.wrong).toEqual([]);
      await settleByTheBank(world, runs);
      expect((await audit(world, runs)).wrong).toEqual([]);
      expect(proxy.cuts().length - before).toBeGreaterThan(10);
    },
    TEST_MS + seconds * 2_000,
  );
});

describe('the connection of somebody else breaks at a COMMIT', () => {
  guarantee.each('database-trouble', [['before'], ['answer-lost']] as const)(
    'a human settles a doubt, %s → an error that names the database; said again, it counts once, and the process lives',
    async (cut) => {
      const database = openDatabase({ url: world.databaseUrl });
      closing.push(() => database.close());
      const ledger = await createPostgresEffectLedger(database);
      const intent = newIntent({ tenant: 'default', shortId: shortId('ef', randomUUID()) });
      const { tenant, id } = intent;
      await ledger.intend([intent]);
      await ledger.append(tenant, id, [{ fact: { kind: 'doubted', reason: 'nobody knows' } }]);
      const pawl = await PawlClient.connect({
        temporalAddress: testTemporalAddress(),
        databaseUrl: proxy.url,
      });
      closing.push(() => pawl.close());
      proxy.order({ place: 'settlement', cut, names: intent.runKey });
      const word = { outcome: 'not_applied', evidence: 'the statement', by: 'olga' } as const;
      await expect(pawl.settle(intent.shortId, word)).rejects.toThrow(DatabaseUnreachableError);
      expect(proxy.cuts(intent.runKey)).toHaveLength(1);
      await pawl.settle(intent.shortId, word);
      const rows = await world.sql('select 1 from pawl.settlements where effect_id = $1', [id]);
      expect(rows).toHaveLength(1);
    },
  );

  guarantee.each('database-trouble', [['before'], ['answer-lost']] as const)(
    'a migration, %s → an error; tried again, the schema is there, and the process lives',
    async (cut) => {
      const empty = await createTestDatabase();
      const between = await startPostgresProxy(empty.url);
      closing.push(between.close, () => dropTestDatabase(empty));
      between.order({ place: 'migration', cut, names: 'create schema' });
      await expect(migrate(between.url)).rejects.toThrow(/ECONNRESET|connection/i);
      expect(between.cuts()).toHaveLength(1);
      const applied = await migrate(between.url);
      expect(applied.length > 0).toBe(cut === 'before');
      expect(await migrate(empty.url)).toEqual([]);
    },
  );
});

describe('the connections go silent and nobody is told', () => {
  guarantee(
    'database-trouble',
    'twelve payments are on the wire, new connections would work → every outcome is recorded, one receipt each',
    async () => {
      const names = Array.from({ length: 12 }, (_, at) => `silent-${at + 1}`);
      const started = await Promise.all(
        names.map((name, at) => {
          world.bank.setMode(name, 'slow', { delayMs: 600, times: 1 });
          const tool = AUDITED_TOOLS[at % AUDITED_TOOLS.length] ?? '';
          return world.startEffect({ tool, input: payment(name), taskQueue: TASK_QUEUE });
        }),
      );
      const receipts = (): number[] =>
        names.map((reference) => world.bank.receipts({ reference }).length);
      await eventually('the bank has paid all', () => receipts().every((count) => count > 0));
      proxy.silence();
      const statuses = await eventually(
        'every payment is applied or in doubt',
        async () => {
          const seen = await Promise.all(started.map(({ runKey }) => world.effectOf(runKey)));
          const now = seen.map((effect) => effect?.status ?? 'unknown');
          return now.every((status) => ['applied', 'in_doubt'].includes(status)) && now;
        },
        90_000,
      );
      expect(statuses).toEqual(names.map(() => 'applied'));
      await Promise.all(started.map(({ handle }) => handle.result()));
      expect(receipts()).toEqual(names.map(() => 1));
    },
    TEST_MS,
  );
});
