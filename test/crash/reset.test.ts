// A run of twelve payments is reset at its events: code runs again, and nobody outside hears anything of it.
// PAWL_RESET_FULL=1: every event. Otherwise a slice, chosen by PAWL_RESET_SEED (printed when it is not set).
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import { guarantee } from '../guarantee.ts';
import { createPayerScript, modelRequestsOf } from './fixtures/payer-script.ts';
import { resetPoints, resetTo, someOf } from './fixtures/resets.ts';
import { createWorld, eventually, type World } from './fixtures/world.ts';

const TEST_MS = 900_000;
const PAYMENTS = 12;
const SLICE = { points: 8, others: 16 };
const isFull = process.env['PAWL_RESET_FULL'] === '1';
const seed = Number(process.env['PAWL_RESET_SEED'] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);
let world: World;

beforeAll(async () => {
  process.stderr.write(`resets: ${isFull ? 'every event' : `PAWL_RESET_SEED=${seed}`}\n`);
  world = await createWorld({ script: createPayerScript() });
}, 180_000);
afterAll(() => world.close());

/** Not the end of a batch of events; no workflow task open; the first event. */
const NO_RESET_POINT =
  /must be at the boundary|Can only reset workflow|Workflow task finish ID must be/;

const each = (count: number, of: number): number[] => Array<number>(of).fill(count);

/** What the outside and the ledger hold of everything so far. */
async function booksNow() {
  const [ledger] = (await world.sql(
    `select (select count(*)::int from pawl.effect_facts) as facts,
            (select count(*)::int from pawl.model_steps) as steps,
            (select count(*)::int from pawl.transcript) as messages`,
  )) as unknown[];
  return {
    modelRequests: world.provider.requests().length,
    bankRequests: world.bank.requests().filter(({ method }) => method === 'POST').length,
    receipts: world.bank.receipts().length,
    ledger,
  };
}

async function historyOf(runKey: string) {
  const handle = world.temporal.workflow.getHandle(runKey);
  const { runId } = await handle.describe();
  const { events } = await handle.fetchHistory();
  return { runId, events: events ?? [] };
}

describe('a finished run of twelve payments', () => {
  guarantee(
    ['law-10-reset', 'F-20b'],
    'is reset at its events → each execution ends with the same result; 0 model requests, 0 write requests, 0 receipts more',
    async () => {
      const label = 'reset-finished';
      await world.startWorker({ taskQueue: label });
      const { runKey } = await world.startRun(label, 'payer', { label, payments: PAYMENTS });
      const first: unknown = await world.temporal.workflow.getHandle(runKey).result();
      expect(first).toMatchObject({ kind: 'completed', output: { done: PAYMENTS } });
      expect(modelRequestsOf(world.provider, label)).toEqual(each(1, PAYMENTS + 1));
      const before = await booksNow();
      expect(before).toMatchObject({ bankRequests: PAYMENTS, receipts: PAYMENTS });

      const { runId, events } = await historyOf(runKey);
      const points = resetPoints(events);
      const others = events.filter((event) => !points.includes(event));
      // A model call and a payment a turn: a workflow task for each of them, and one at the end.
      expect(points.length).toBeGreaterThanOrEqual(2 * 2 * PAYMENTS);
      const tried = isFull
        ? events
        : [...someOf(points, SLICE.points, random), ...someOf(others, SLICE.others, random)];
      const seen = { accepted: 0, refused: 0 };
      for (const event of tried) {
        const answer = await resetTo(world.temporal, { workflowId: runKey, runId, event });
        seen[answer.kind] += 1;
        const expected = points.includes(event) ? 'accepted' : 'refused';
        expect([Number(event.eventId), answer.kind]).toEqual([Number(event.eventId), expected]);
        if (answer.kind === 'refused') {
          expect(answer.why).toMatch(NO_RESET_POINT);
          continue;
        }
        const again = world.temporal.workflow.getHandle(runKey, answer.runId);
        expect(await again.result()).toEqual(first);
        expect(await booksNow()).toEqual(before);
      }
      process.stderr.write(
        `resets of ${events.length} events: ${seen.accepted} accepted, ${seen.refused} refused\n`,
      );
      const [most, least] = isFull ? [points.length, others.length] : [SLICE.points, SLICE.others];
      expect(seen).toEqual({ accepted: most, refused: least });
      expect(await world.pawl.result(runKey)).toMatchObject({ result: { kind: 'completed' } });
    },
    TEST_MS,
  );
});

describe('a run that waits for an approval', () => {
  guarantee(
    ['law-10-reset', 'S2-04'],
    'is reset at its events → it waits for the same approval again; approved once, it pays once and ends',
    async () => {
      const label = 'reset-waiting';
      const payments = 3;
      await world.startWorker({ taskQueue: label });
      const { runKey } = await world.startRun(label, 'careful-payer', { label, payments });
      const approval = await eventually('it asks', async () => {
        const [found] = await world.pawl.approvals({ run: runKey });
        return found;
      });
      const isWaiting = (): Promise<boolean> =>
        world.temporal.workflow
          .getHandle(runKey)
          .query<{ step: string }>('pawl.status')
          .then(({ step }) => step === 'await-approval');
      await eventually('it waits', isWaiting);
      const before = await booksNow();
      const { runId, events } = await historyOf(runKey);
      const points = resetPoints(events);
      expect(points.length).toBeGreaterThanOrEqual(6);
      for (const event of isFull ? points : someOf(points, 3, random)) {
        const answer = await resetTo(world.temporal, { workflowId: runKey, runId, event });
        expect(answer.kind).toBe('accepted');
        await eventually('it waits again', isWaiting);
        expect((await world.pawl.approvals({ run: runKey })).map(({ id }) => id)).toEqual([
          approval.id,
        ]);
        expect(await booksNow()).toEqual(before);
      }
      await world.pawl.approve(approval.id, { approver: 'olga' });
      expect(await world.pawl.result(runKey)).toMatchObject({ result: { kind: 'completed' } });
      const receipts = [1, 2, 3].map(
        (at) => world.bank.receipts({ reference: `${label}-${at}` }).length,
      );
      expect(receipts).toEqual(each(1, payments));
      expect(modelRequestsOf(world.provider, label)).toEqual(each(1, payments + 1));
    },
    TEST_MS,
  );
});
