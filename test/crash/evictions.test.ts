// A run of twelve payments whose worker is taken away after payment k, for each k: by SIGKILL, and by SIGTERM.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import { createLane } from './fixtures/lane.ts';
import { createPayerScript, modelRequestsOf } from './fixtures/payer-script.ts';
import { createWorld, eventually, type World } from './fixtures/world.ts';

const TEST_MS = 360_000;
const PAYMENTS = 12;
const KILLED_AFTER = Array.from({ length: PAYMENTS - 1 }, (_, at) => at + 1);
const lane = createLane(4);
let world: World;

beforeAll(async () => {
  world = await createWorld({ script: createPayerScript() });
  await world.startSurvivor();
  lane.start();
}, 180_000);
afterAll(() => world.close());

const receiptsOf = (label: string): number[] =>
  Array.from(
    { length: PAYMENTS },
    (_, at) => world.bank.receipts({ reference: `${label}-${at + 1}` }).length,
  );
const paidOf = (label: string): number => receiptsOf(label).filter((count) => count > 0).length;
const each = (count: number, of: number): number[] => Array<number>(of).fill(count);

async function killAfter(k: number) {
  const label = `killed-after-${k}`;
  // The process dies when the k-th payment of its own is recorded and before the workflow is told.
  const victim = await world.startWorker({
    taskQueue: label,
    crashAt: `after-settle:pay_keyed:${k}`,
  });
  const { runKey } = await world.startRun(label, 'payer', { label, payments: PAYMENTS });
  const { signal } = await victim.gone;
  const paidBefore = paidOf(label);
  world.handOver(label);
  const { result, output } = await world.pawl.result(runKey);
  const { calls } = await world.pawl.show(runKey);
  const modelRequests = modelRequestsOf(world.provider, label);
  return { signal, paidBefore, result, output, calls, receipts: receiptsOf(label), modelRequests };
}

describe('the worker is killed', () => {
  for (const k of KILLED_AFTER) {
    const killed = lane.plan(() => killAfter(k));
    guarantee(
      ['F-31', 'S3-34'],
      `after payment ${k} of 12 → goes on at ${k + 1}: each payment once, each model step asked for once`,
      async () => {
        const seen = await killed;
        expect([seen.signal, seen.paidBefore]).toEqual(['SIGKILL', k]);
        expect(seen.result).toMatchObject({ kind: 'completed', turns: PAYMENTS + 1 });
        expect(seen.output).toEqual({ done: PAYMENTS });
        expect(seen.receipts).toEqual(each(1, PAYMENTS));
        expect(seen.modelRequests).toEqual(each(1, PAYMENTS + 1));
        // The checkpoint of each step: the tool, its input, its output, where the run stood.
        expect(seen.calls).toHaveLength(PAYMENTS);
        for (const call of seen.calls) {
          expect(call).toMatchObject({
            tool: 'pay_keyed',
            arguments: { amountMinor: 10_000 },
            ended: 'applied',
          });
        }
      },
      TEST_MS,
    );
  }
});

describe('the worker is told to stop', () => {
  const stopped = lane.plan(async () => {
    const label = 'told-to-stop';
    const exits: unknown[] = [];
    // The signal meets a payment that is on the wire.
    for (const k of KILLED_AFTER) {
      world.bank.setMode(`${label}-${k}`, 'slow', { delayMs: 1_000, times: 1 });
    }
    let worker = await world.startWorker({ taskQueue: label });
    const { runKey } = await world.startRun(label, 'payer', { label, payments: PAYMENTS });
    for (const k of KILLED_AFTER) {
      await eventually(`payment ${k}`, () => paidOf(label) >= k);
      await worker.stop();
      const { code } = await worker.gone;
      const { effects } = await world.pawl.show(runKey);
      const applied = effects.filter(({ status }) => status === 'applied').length;
      exits.push({ code, applied, asked: modelRequestsOf(world.provider, label).length });
      if (k < PAYMENTS - 1) worker = await world.startWorker({ taskQueue: label });
    }
    world.handOver(label);
    const { result } = await world.pawl.result(runKey);
    const modelRequests = modelRequestsOf(world.provider, label);
    return { exits, kind: result?.kind, receipts: receiptsOf(label), modelRequests };
  });
  guarantee(
    ['F-31', 'S3-34', 'S3-35', 'law-13-shutdown'],
    'with SIGTERM in payment k of 12, for each k → finishes and records it, takes nothing new, ends with 0; the next one goes on at k + 1',
    async () => {
      const { exits, kind, receipts, modelRequests } = await stopped;
      expect(exits).toEqual(KILLED_AFTER.map((k) => ({ code: 0, applied: k, asked: k })));
      expect(kind).toBe('completed');
      expect(receipts).toEqual(each(1, PAYMENTS));
      expect(modelRequests).toEqual(each(1, PAYMENTS + 1));
    },
    TEST_MS,
  );
});
