// Workers that are really killed in sweep after sweep: a doubt is seen all the same, and so is everything else that can be.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { ulid } from 'ulid';
import { guarantee } from '../guarantee.ts';
import { payment } from './fixtures/payments.ts';
import {
  createWorld,
  eventually,
  type StartedEffect,
  type World,
  writesFor,
} from './fixtures/world.ts';

/** `PAWL_SWEEP_DEATHS=10` for the long way. Each takes as long as a dead worker goes unnoticed. */
const DEATHS = Number(process.env['PAWL_SWEEP_DEATHS'] ?? 3);
const TEST_MS = 60_000 + DEATHS * 20_000;
const SWEEP_MS = 1_000;
/** A dead worker is noticed after 4 s, and a machine is busy. */
const SLACK_MS = 20_000;
const queue = `sweeps-${ulid().toLowerCase()}`;
let world: World;

beforeAll(async () => {
  world = await createWorld({ toolSeconds: 3 });
}, 120_000);
afterAll(async () => {
  await world.temporal.schedule
    .getHandle(`pawl-reconciler-${queue}`)
    .delete()
    .catch(() => undefined);
  await world.close();
});

/** Sent, and its worker is dead before it could say so; then nobody goes on with its workflow. */
async function orphan(tool: string, name: string): Promise<StartedEffect> {
  const input = tool === 'send_once' ? { subject: name } : payment(name);
  const started = await world.startEffect({ tool, input });
  const worker = await world.startWorker({
    taskQueue: started.taskQueue,
    crashAt: `after-send:${tool}`,
  });
  await worker.gone;
  await started.handle.terminate('its worker is dead');
  return started;
}

/** A worker that lives until a sweep of it asks the receiver of the poisonous effect. */
const doomed = () =>
  world.startWorker({
    taskQueue: queue,
    crashAt: 'before-probe:pay_reconcilable',
    reconcileEveryMs: SWEEP_MS,
  });

describe(`a look-up that kills its worker, in each of ${DEATHS} sweeps in a row`, () => {
  guarantee(
    ['sweeps-killed', 'law-11-reconciler'],
    'a message nobody can ask about → in doubt within its lease and one sweep; a payment beside the poisonous one → found; each sent once',
    async () => {
      await orphan('pay_reconcilable', 'poison');
      const [beside, silent] = await Promise.all([
        orphan('pay_keyed_with_probe', 'beside'),
        orphan('send_once', 'silent'),
      ]);
      for (let deaths = 0; deaths < DEATHS; deaths += 1) {
        const { signal } = await (await doomed()).gone;
        expect(signal).toBe('SIGKILL');
      }
      const [seen] = await world.sql(
        `select status, extract(epoch from updated_at - lease_until) * 1000 as "afterMs"
         from pawl.effects where run_key = $1`,
        [silent.runKey],
      );
      expect(seen).toMatchObject({ status: 'in_doubt' });
      expect(Number(seen.afterMs)).toBeLessThan(SWEEP_MS + SLACK_MS);
      expect(await world.effectOf(beside.runKey)).toMatchObject({ status: 'applied' });
      // The poisonous one is listed too, once nobody has looked after it for a minute.
      const doubts = (await world.pawl.doubts()).filter(({ isUnattended }) => !isUnattended);
      expect(doubts).toEqual([expect.objectContaining({ runKey: silent.runKey })]);
      for (const name of ['poison', 'beside']) {
        expect(writesFor(world.bank, name)).toHaveLength(1);
      }
      expect(writesFor(world.mailbox, 'silent')).toHaveLength(1);
      // The next worker is a healthy one.
      await world.startWorker({ taskQueue: queue });
      await eventually(
        'nothing is open',
        async () => {
          const effects = await world.pawl.effects();
          return effects.every(({ status }) => status !== 'dispatched');
        },
        SLACK_MS,
      );
    },
    TEST_MS,
  );
});
