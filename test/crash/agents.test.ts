// Runs of an agent whose workers die: what was decided stays decided, what was done stays done, whoever goes on.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import proto from '@temporalio/proto';
import { endOfFirst } from '../first-attempt.ts';
import { guarantee } from '../guarantee.ts';
import { whileLocked } from '../held-lock.ts';
import { createLane } from './fixtures/lane.ts';
import { createPayerScript, modelRequestsOf } from './fixtures/payer-script.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';

const TEST_MS = 360_000;
const lane = createLane(4);
let world: World;

beforeAll(async () => {
  world = await createWorld({ script: createPayerScript() });
  await world.startSurvivor();
  lane.start();
}, 180_000);
afterAll(() => world.close());

/** A run whose worker dies at the point, finished by the survivor. */
async function dieAndGoOn(label: string, crashAt: string, payments: number) {
  const victim = await world.startWorker({ taskQueue: label, crashAt });
  const { runKey } = await world.startRun(label, 'payer', { label, payments });
  const { signal } = await victim.gone;
  world.handOver(label);
  const { result, output } = await world.pawl.result(runKey);
  return { signal, kind: result?.kind, output, ...booksOf(label, payments) };
}

/** What the outside saw of a run. */
function booksOf(label: string, payments: number) {
  const references = Array.from({ length: payments }, (_, at) => `${label}-${at + 1}`);
  return {
    receipts: references.map((reference) => world.bank.receipts({ reference }).length),
    amounts: references.map((reference) => [
      ...new Set(world.bank.receipts({ reference }).map(({ amountMinor }) => amountMinor)),
    ]),
    modelRequests: modelRequestsOf(world.provider, label),
  };
}

describe('a model that would decide otherwise when it is asked again', () => {
  const regenerated = lane.plan(async () => {
    const seen = await dieAndGoOn('regenerated', 'after-send:pay_keyed', 1);
    return { ...seen, writes: writesFor(world.bank, 'regenerated-1') };
  });
  guarantee(
    ['F-03', 'S2-08'],
    'the worker dies in the payment → the arguments come from the ledger: one model request for the step, equal bytes',
    async () => {
      const { signal, kind, receipts, modelRequests, writes } = await regenerated;
      expect([signal, kind]).toEqual(['SIGKILL', 'completed']);
      expect(receipts).toEqual([1]);
      expect(modelRequests).toEqual([1, 1]);
      expect(
        writes.map(({ body }) => (JSON.parse(body) as { amountMinor: number }).amountMinor),
      ).toEqual([10_000, 10_000]);
    },
    TEST_MS,
  );

  const committed = lane.plan(() => dieAndGoOn('committed', 'after-model-commit:payer', 2));
  guarantee(
    ['F-03', 'law-10-reset'],
    'the worker dies when the answer is stored and not yet returned → the stored answer is used, no second request',
    async () => {
      const { signal, kind, receipts, amounts, modelRequests } = await committed;
      expect([signal, kind]).toEqual(['SIGKILL', 'completed']);
      expect(receipts).toEqual([1, 1]);
      expect(amounts).toEqual([[10_000], [10_000]]);
      expect(modelRequests).toEqual([1, 1, 1]);
    },
    TEST_MS,
  );

  const unstored = lane.plan(() => dieAndGoOn('unstored', 'after-model-call:payer', 1));
  guarantee(
    'F-03',
    'the worker dies when the model has answered and nothing is stored → asked once more, one payment, of the second answer',
    async () => {
      const { signal, kind, receipts, amounts, modelRequests } = await unstored;
      expect([signal, kind]).toEqual(['SIGKILL', 'completed']);
      expect(receipts).toEqual([1]);
      expect(amounts).toEqual([[11_000]]);
      expect(modelRequests).toEqual([2, 1]);
    },
    TEST_MS,
  );

  const arrived = lane.plan(() => dieAndGoOn('arrived', 'after-model-answer:payer', 1));
  guarantee(
    ['F-03', 'paid-once'],
    'the worker dies when the answer is stored and nothing has judged it → no second request, one payment, of that answer',
    async () => {
      const { signal, kind, receipts, amounts, modelRequests } = await arrived;
      expect([signal, kind]).toEqual(['SIGKILL', 'completed']);
      expect(receipts).toEqual([1]);
      expect(amounts).toEqual([[10_000]]);
      expect(modelRequests).toEqual([1, 1]);
    },
    TEST_MS,
  );

  const unasked = lane.plan(() => dieAndGoOn('unasked', 'before-model-call:payer', 1));
  guarantee(
    'F-03',
    'the worker dies before the model is asked → asked once',
    async () => {
      const { signal, kind, receipts, modelRequests } = await unasked;
      expect([signal, kind]).toEqual(['SIGKILL', 'completed']);
      expect(receipts).toEqual([1]);
      expect(modelRequests).toEqual([1, 1]);
    },
    TEST_MS,
  );
});

describe('a worker that dies in a statement of the ledger, unseen by a supervisor', () => {
  const opening = lane.plan(async () => {
    const label = 'opening';
    // A run is not started where nobody has offered its agent.
    await (await world.startWorker({ taskQueue: label })).kill();
    const { runKey } = await world.startRun(label, 'payer', { label, payments: 1 });
    const row = 'select 1 from pawl.runs where run_key = $1 for update';
    const lock = { statement: row, values: [runKey] };
    await whileLocked(world.databaseUrl, lock, async (waitedMs) => {
      const victim = await world.startWorker({ taskQueue: label });
      await eventually('its first step waits for the row', async () => (await waitedMs()) > 0);
      await victim.kill();
    });
    world.handOver(label);
    const { result } = await world.pawl.result(runKey);
    const history = await world.temporal.workflow.getHandle(runKey).fetchHistory();
    const tasks = history.events?.filter((event) => event.workflowTaskTimedOutEventAttributes);
    // A server that is too slow for it is said in the log of the one who goes on.
    const isSaid = readFileSync(join(world.folder, 'worker-1.log'), 'utf8').includes('may wait');
    const waitedTasks = isSaid ? [] : tasks;
    return { kind: result?.kind, ...endOfFirst(history), waitedTasks, ...booksOf(label, 1) };
  });
  guarantee(
    'noticed',
    'while it opens a run → noticed by its heartbeat (4 s), not by the time-out of the step (30 s)',
    async () => {
      const { kind, attempt, noticedBy, waitedTasks, receipts, modelRequests } = await opening;
      expect([kind, attempt]).toEqual(['completed', 2]);
      expect(noticedBy).toBe(proto.temporal.api.enums.v1.TimeoutType.TIMEOUT_TYPE_HEARTBEAT);
      // Nor does the workflow's next task wait on the queue that only the dead worker polled.
      expect(waitedTasks).toEqual([]);
      expect(receipts).toEqual([1]);
      expect(modelRequests).toEqual([1, 1]);
    },
    TEST_MS,
  );
});

describe('a worker is nothing but a process', () => {
  const stateless = lane.plan(async () => {
    const label = 'stateless';
    const workFolder = join(world.folder, 'work');
    mkdirSync(workFolder);
    const victim = await world.startWorker({ taskQueue: label, workFolder });
    const { runKey } = await world.startRun(label, 'payer', { label, payments: 12 });
    await eventually(
      'it is in the middle',
      () => world.bank.receipts({ reference: `${label}-5` }).length > 0,
    );
    await victim.kill();
    rmSync(workFolder, { recursive: true });
    const before = booksOf(label, 12).receipts.filter((count) => count > 0).length;
    world.handOver(label);
    const { result } = await world.pawl.result(runKey);
    return { before, kind: result?.kind, workFolder, ...booksOf(label, 12) };
  });
  guarantee(
    'S3-28',
    'it is killed in the middle and its folder deleted → another one finishes the run, each payment once',
    async () => {
      const { before, kind, receipts, modelRequests, workFolder } = await stateless;
      expect(before).toBeLessThan(12);
      expect(kind).toBe('completed');
      expect(receipts).toEqual(Array(12).fill(1));
      // The turn that was under way may have been asked for twice: its answer was not stored.
      expect(modelRequests.filter((count) => count > 1).length).toBeLessThanOrEqual(1);
      expect(existsSync(workFolder)).toBe(false);
    },
    TEST_MS,
  );
});

describe('a start that is delivered twice', () => {
  const MESSAGES = 100;
  const doubled = lane.plan(async () => {
    const queue = 'doubled';
    await Promise.all([0, 1].map(() => world.startWorker({ taskQueue: queue })));
    const clients = await Promise.all([world.connect(queue), world.connect(queue)]);
    const starts = await Promise.all(
      Array.from({ length: MESSAGES }, async (_, at) => {
        const input = { label: `message-${at}`, payments: 1 };
        return Promise.all(
          clients.map((client) => client.start('payer', input, { key: `message ${at}` })),
        );
      }),
    );
    const runKeys = starts.map(([first]) => first?.runKey ?? '');
    const ends = await Promise.all(runKeys.map((runKey) => world.pawl.result(runKey)));
    await Promise.all(clients.map((client) => client.close()));
    const workflows = await Promise.all(
      runKeys.map((runKey) => world.temporal.workflow.count(`WorkflowId = "${runKey}"`)),
    );
    return {
      starts,
      kinds: ends.map(({ result }) => result?.kind),
      workflows: workflows.map(({ count }) => count),
      receipts: starts.map((_, at) => booksOf(`message-${at}`, 1).receipts[0]),
    };
  });
  guarantee(
    'S3-36',
    '100 messages, each injected twice at the same time, two workers → one workflow and one payment each',
    async () => {
      const { starts, kinds, workflows, receipts } = await doubled;
      for (const [first, second] of starts) {
        expect(second?.runKey).toBe(first?.runKey);
        expect([first?.isNew, second?.isNew].filter(Boolean)).toHaveLength(1);
      }
      expect(new Set(starts.map(([first]) => first?.runKey)).size).toBe(MESSAGES);
      expect(kinds).toEqual(Array(MESSAGES).fill('completed'));
      expect(workflows).toEqual(Array(MESSAGES).fill(1));
      expect(receipts).toEqual(Array(MESSAGES).fill(1));
    },
    TEST_MS,
  );
});
