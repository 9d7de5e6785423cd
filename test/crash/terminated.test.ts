// Terminated workflows: whatever point of an effect their worker stands at, a doubt is in the inbox and nothing is sent.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { ulid } from 'ulid';
import type { EffectView } from '../../client/index.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { guarantee } from '../guarantee.ts';
import { receiptsOf, TERMINATED_CELLS } from './fixtures/terminated-cells.ts';
import {
  createPatientModel,
  playTerminated,
  type Scene,
  type Standing,
  startAt,
  terminate,
  untilReached,
} from './fixtures/terminated-scene.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';

const TEST_MS = 300_000;
/** The tools' time-out and a second; the sweep's interval; a machine that is busy with other tests. */
const LEASE_MS = 9_000;
const SWEEP_MS = 1_000;
const SLACK_MS = 120_000;
/** A probe's absent counts twice, once the settle window of two seconds is over. */
const SETTLE_MS = 2_000 + 2 * SWEEP_MS;
const BOUND_MS = LEASE_MS + SETTLE_MS + SWEEP_MS + SLACK_MS;

const unique = ulid().toLowerCase();
const reconcilerQueue = `terminated-${unique}-sweeps`;
const runFile = promisify(execFile);
const model = createPatientModel();
let world: World;
let scene: Scene;

beforeAll(async () => {
  world = await createWorld({ script: model.script });
  await world.sql('create table bookings (reference text not null, amount bigint not null)');
  scene = await playTerminated(world, { reconcilerQueue, sweepMs: SWEEP_MS, model });
}, TEST_MS);
afterAll(async () => {
  await world.temporal.schedule
    .getHandle(`pawl-reconciler-${reconcilerQueue}`)
    .delete()
    .catch(() => undefined);
  await world.close();
});

const all = (): readonly Standing[] => [
  ...scene.cells,
  ...scene.agents,
  ...scene.released,
  scene.waiter,
  scene.holder,
];

const isOpen = (effect: EffectView): boolean => effect.status === 'dispatched';

/** Every effect has an end that lasts, and how long that took for the doubts. */
async function untilNothingIsOpen(): Promise<Map<string, number>> {
  const seenAtMs = new Map<string, number>();
  const runKeys = new Set(all().map(({ runKey }) => runKey));
  await eventually(
    'no effect is open',
    async () => {
      for (const { runKey } of await world.pawl.doubts()) {
        if (runKeys.has(runKey) && !seenAtMs.has(runKey)) {
          seenAtMs.set(runKey, Date.now() - scene.terminatedAtMs);
        }
      }
      const effects = await world.pawl.effects({ limit: 1_000 });
      return !effects.some((effect) => runKeys.has(effect.runKey) && isOpen(effect));
    },
    BOUND_MS,
  );
  return seenAtMs;
}

async function bookingsOf(reference: string): Promise<number> {
  const rows = await world.sql('select 1 from bookings where reference = $1', [reference]);
  return rows.length;
}

/** What the ledger, the inbox and the receiver say of one. */
async function bookOf({ runKey, reference }: Standing, doubts: ReadonlySet<string>) {
  const effect = await world.effectOf(runKey);
  const isSent = effect !== undefined && effect.status !== 'intended';
  const receipts = world.bank.receipts({ reference }).length + (await bookingsOf(reference));
  return { end: isSent ? effect.status : 'unsent', isInbox: doubts.has(runKey), receipts };
}

async function runPawl(...words: string[]): Promise<string> {
  const file = join(import.meta.dirname, '../../client/cli/main.ts');
  const { stdout } = await runFile(process.execPath, [...runtimeArguments(file), file, ...words], {
    env: {
      ...process.env,
      DATABASE_URL: world.databaseUrl,
      TEMPORAL_ADDRESS: world.temporalAddress,
      NODE_OPTIONS: '',
    },
    maxBuffer: 64_000_000,
  });
  return stdout;
}

describe('the workflow is terminated while its worker stands at a point, and the worker is killed', () => {
  let waits: Map<string, number>;
  let doubts: ReadonlySet<string>;
  beforeAll(async () => {
    waits = await untilNothingIsOpen();
    doubts = new Set((await world.pawl.doubts()).map(({ runKey }) => runKey));
    process.stderr.write(
      `terminated: ${waits.size} doubts, all in the inbox ${Math.max(...waits.values())} ms after the termination, ` +
        'with the start of the healthy worker\n',
    );
  }, TEST_MS);

  guarantee.each(
    'law-11-reconciler',
    [...new Set(TERMINATED_CELLS.map(({ tool }) => tool))].map((tool) => [tool] as const),
  )(
    '%s: what is open is in the inbox or found by its probe, what was not sent is no doubt',
    async (tool) => {
      const cells = scene.cells.filter(({ cell }) => cell.tool === tool);
      const seen = await Promise.all(
        cells.map(async (one) => [one.point, await bookOf(one, doubts)] as const),
      );
      const predicted = cells.map(({ point, cell }) => [
        point,
        { end: cell.end, isInbox: cell.end === 'in_doubt', receipts: receiptsOf(cell) },
      ]);
      expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(predicted));
    },
    TEST_MS,
  );

  guarantee(
    'law-11-reconciler',
    'one waits for the holder of its identity → the holder is in doubt, the waiting one was never sent',
    async () => {
      const [holder, waiter] = await Promise.all([
        bookOf(scene.holder, doubts),
        bookOf(scene.waiter, doubts),
      ]);
      expect(holder).toEqual({ end: 'in_doubt', isInbox: true, receipts: 1 });
      expect(waiter).toEqual({ end: 'unsent', isInbox: false, receipts: 1 });
    },
  );

  guarantee(
    'law-11-reconciler',
    "an agent's run: sent and open → in the inbox; approved and not sent → not sent, no doubt",
    async () => {
      const seen = await Promise.all(
        scene.agents.map(async (one) => [one.point, await bookOf(one, doubts)] as const),
      );
      const doubt = { end: 'in_doubt', isInbox: true, receipts: 1 };
      const unsent = { end: 'unsent', isInbox: false, receipts: 0 };
      expect(Object.fromEntries(seen)).toEqual({
        'before-dispatch': unsent,
        'after-decision': unsent,
        'after-send': doubt,
        'before-settle': doubt,
      });
    },
  );

  guarantee('law-11-reconciler', '`pawl doubts` shows each, and says what to do', async () => {
    const listed = JSON.parse(await runPawl('doubts', '--json', '--all')) as EffectView[];
    expect(new Set(listed.map(({ runKey }) => runKey))).toEqual(doubts);
    const text = await runPawl('doubts', '--all');
    expect(text).toContain('its workflow is gone');
    const [doubt] = listed;
    expect(text).toContain(`pawl settle ${doubt?.effect} applied`);
  });
});

describe('the workflow is terminated and its worker lives on', () => {
  guarantee(
    'law-11-reconciler',
    'the reconciler is up, the lease runs → in the inbox with the sweep after the lease; one whose workflow lives is left to it',
    async () => {
      const { queue } = scene.living;
      const alive = await startAt(world, queue, 'pay_keyed', 'after-send', 'alive');
      await untilReached(world, alive);
      const one = await startAt(world, queue, 'pay_once', 'after-send', 'measured');
      await untilReached(world, one);
      await terminate(world, one);
      await eventually(
        'it is in doubt',
        async () => (await world.pawl.doubts()).some(({ runKey }) => runKey === one.runKey),
        BOUND_MS,
      );
      const [row] = (await world.sql(
        `select extract(epoch from f.at - e.lease_until) * 1000 as waited from pawl.effects e
         join pawl.effect_facts f on f.effect_id = e.id and f.kind = 'doubted' where e.run_key = $1`,
        [one.runKey],
      )) as { waited: string }[];
      const waitedMs = Math.round(Number(row?.waited));
      process.stderr.write(`terminated: in doubt ${waitedMs} ms after its lease\n`);
      expect(waitedMs).toBeGreaterThan(0);
      expect(waitedMs).toBeLessThan(SWEEP_MS + SLACK_MS);
      // The same sweeps have seen the older one, too: its workflow lives, and may send it again.
      expect(await world.effectOf(alive.runKey)).toMatchObject({ status: 'dispatched', sends: 1 });
      for (const { runKey } of [one, alive]) world.holds.release(runKey);
      const result: unknown = await world.temporal.workflow.getHandle(alive.runKey).result();
      const [receipt, ...others] = world.bank.receipts({ reference: 'alive' });
      expect(result).toMatchObject({ transferId: receipt?.receiptId });
      expect(others).toEqual([]);
    },
    TEST_MS,
  );

  guarantee(
    ['law-11-reconciler', 'law-04-facts'],
    'its attempts go on when all is over → nothing more is sent; a late answer settles its doubt',
    async () => {
      for (const { runKey } of scene.released) world.holds.release(runKey);
      const answered = scene.released.filter(({ point }) => point === 'before-settle');
      await eventually('the late answers are kept', async () => {
        const effects = await Promise.all(answered.map(({ runKey }) => world.effectOf(runKey)));
        return effects.every((effect) => effect?.status === 'applied');
      });
      // It lets what it has begun end first: whatever it would do, it has done then.
      await scene.living.worker.stop();
      const books = await Promise.all(
        scene.released.map(async (one) => {
          const { status, sends = 0 } = (await world.effectOf(one.runKey)) ?? {};
          const receipts =
            writesFor(world.bank, one.reference).length + (await bookingsOf(one.reference));
          return [`${one.tool} ${one.point}`, `${status} ${sends} ${receipts}`] as const;
        }),
      );
      expect(Object.fromEntries(books)).toEqual({
        'pay_keyed after-intent': 'intended 0 0',
        'pay_keyed before-dispatch': 'intended 0 0',
        'pay_once before-dispatch': 'intended 0 0',
        'book_transactional before-dispatch': 'intended 0 0',
        'pay_keyed before-send': 'in_doubt 0 0',
        'pay_once before-send': 'in_doubt 0 0',
        'pay_keyed before-settle': 'applied 1 1',
        'pay_once before-settle': 'applied 1 1',
      });
      const since = world.bank.requests({ method: 'POST' }).slice(scene.requestsBefore);
      // Those of the test before.
      expect(since.filter(({ body }) => !/"(alive|measured)"/.test(body))).toEqual([]);
    },
    TEST_MS,
  );
});
