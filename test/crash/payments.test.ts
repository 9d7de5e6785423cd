// One payment while processes die and answers are lost, and it ends well: a real worker, bank, Temporal and PostgreSQL.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import { createLane } from './fixtures/lane.ts';
import { createPayments, expectOneEffect, payment } from './fixtures/payments.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';

const TEST_MS = 360_000;
const lane = createLane(4);
let world: World;
const { dieAt, takeOver, receiptsOf } = createPayments(() => world);

beforeAll(async () => {
  world = await createWorld({ toolSeconds: 4 });
  await world.startSurvivor();
  lane.start();
}, 180_000);
afterAll(() => world.close());

describe('a worker that is not dead', () => {
  const frozen = lane.plan(async () => {
    world.bank.setMode('frozen', 'slow', { delayMs: 1_500, times: 1 });
    const zombie = await world.startWorker({ taskQueue: 'frozen' });
    const started = await world.startEffect({ tool: 'pay_keyed', input: payment('frozen') });
    await eventually('the bank has paid', () => receiptsOf('frozen').length > 0);
    process.kill(zombie.pid, 'SIGSTOP');
    const seen = await takeOver(started);
    process.kill(zombie.pid, 'SIGCONT');
    const facts = await eventually('the thawed worker reports', async () => {
      const rows = await world.sql(
        `select f.kind, f.fence from pawl.effect_facts f join pawl.effects e on e.id = f.effect_id
         where e.run_key = $1 and f.fence = 1 and f.kind <> 'dispatched'`,
        [started.runKey],
      );
      return rows.length > 0 && rows;
    });
    return { ...seen, facts, effect: await world.effectOf(started.runKey) };
  });
  guarantee(
    ['F-04', 'law-04-facts'],
    'a worker is frozen with SIGSTOP while it waits for the bank, and thawed when another one has finished → one effect, no conflict',
    async () => {
      const { facts, effect, ...seen } = await frozen;
      expectOneEffect(seen, 2);
      expect(facts).toHaveLength(1);
      expect(effect).toMatchObject({ status: 'applied', hasConflict: false });
    },
    TEST_MS,
  );
});

describe('the bank commits and the worker dies before it records that', () => {
  const replayed = lane.plan(async () => {
    const started = await dieAt('after-send', 'pay_keyed', payment('replayed'), 'replayed');
    const first = receiptsOf('replayed');
    return { first, ...(await takeOver(started)) };
  });
  guarantee(
    ['F-01', 'S2-07'],
    'the bank replays its answer → one receipt, two requests with byte-equal key and body, the first receipt as result',
    async () => {
      const seen = await replayed;
      expect(seen.first).toHaveLength(1);
      expectOneEffect(seen, 2);
    },
    TEST_MS,
  );

  const inFlight = lane.plan(async () => {
    world.bank.setMode('in-flight', 'ok', { times: 1 });
    world.bank.addMode('in-flight', '409-in-flight', { times: 1 });
    return takeOver(await dieAt('after-send', 'pay_keyed', payment('in-flight'), 'in-flight'));
  });
  guarantee(
    ['F-01', 'S2-07'],
    'the bank says first that the key is in flight → it is asked again under the same key, one receipt',
    async () => expectOneEffect(await inFlight, 3),
    TEST_MS,
  );
});

describe('the answer does not come in time', () => {
  const hung = lane.plan(async () => {
    world.bank.setMode('hung', 'commit-then-hang', { times: 1 });
    return takeOver(await world.startEffect({ tool: 'pay_keyed', input: payment('hung') }));
  });
  guarantee(
    ['F-04', 'S2-01'],
    'the bank commits and hangs, the attempt times out → the retry carries the same key, the first receipt is the result',
    async () => expectOneEffect(await hung, 2),
    TEST_MS,
  );

  const slow = lane.plan(async () => {
    world.bank.setMode('slow', 'slow', { delayMs: 12_000, times: 1 });
    const seen = await takeOver(
      await world.startEffect({ tool: 'pay_keyed', input: payment('slow') }),
    );
    return { ...seen, spreadMs: (seen.writes[1]?.atMs ?? 0) - (seen.writes[0]?.atMs ?? 0) };
  });
  guarantee(
    ['F-04', 'S2-01', 'S2-08'],
    'the retry runs while the first request is in flight at the bank → one effect, the original receipt',
    async () => {
      const { spreadMs, ...seen } = await slow;
      expect(spreadMs).toBeLessThan(12_000);
      expect(seen.writes.length).toBeGreaterThanOrEqual(3);
      expectOneEffect(seen, seen.writes.length);
    },
    TEST_MS,
  );
});

describe('a bank that ignores keys and can be asked', () => {
  const found = lane.plan(async () => {
    world.bank.setMode('found', 'no-idempotency');
    return takeOver(await dieAt('after-send', 'pay_reconcilable', payment('found'), 'found'));
  });
  guarantee(
    ['F-05', 'S2-08'],
    'the worker dies after the send and the look-up finds the payment → applied without a second send',
    async () => expectOneEffect(await found, 1),
    TEST_MS,
  );

  const absent = lane.plan(async () => {
    world.bank.setMode('absent', 'no-idempotency');
    const started = await dieAt('before-send', 'pay_reconcilable', payment('absent'), 'absent');
    const before = writesFor(world.bank, 'absent').length;
    return { before, ...(await takeOver(started)) };
  });
  guarantee(
    'F-05',
    'the worker dies between permit and send and the look-up finds nothing twice → sent once',
    async () => {
      const { before, ...seen } = await absent;
      expect(before).toBe(0);
      expectOneEffect(seen, 1);
    },
    TEST_MS,
  );
});
