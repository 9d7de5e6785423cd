// Zombies: workers frozen with SIGSTOP past their heartbeats at a point of an effect, woken when another one has finished.
// PAWL_ZOMBIES=20 or more: so many (24 are all). PAWL_ZOMBIE_SEED=n repeats a choice (printed).
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { ulid } from 'ulid';
import { findTemporal } from '../../devstack/servers/find-temporal.ts';
import { guarantee } from '../guarantee.ts';
import { createLane } from './fixtures/lane.ts';
import { payment } from './fixtures/payments.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';
import { lateFactsOf, receiptsAfter, type ZombieCell, zombiesOf } from './fixtures/zombie-cells.ts';

const TEST_MS = 300_000;
const PATIENCE_MS = 150_000;
const DEFAULT_SLICE = 5;
/** Attempts that sleep in one process. */
const PER_PROCESS = 6;
const seed = Number(process.env['PAWL_ZOMBIE_SEED'] ?? Date.now() % 1_000_000);
const count = Number(process.env['PAWL_ZOMBIES'] ?? DEFAULT_SLICE);
const cells = zombiesOf(seed, count);
const batches = Array.from({ length: Math.ceil(cells.length / PER_PROCESS) }, (_, at) =>
  cells.slice(at * PER_PROCESS, (at + 1) * PER_PROCESS),
);

const unique = ulid().toLowerCase();
const runFile = promisify(execFile);
const lane = createLane(4);
let world: World;
let temporalCli: string;

beforeAll(async () => {
  process.stderr.write(`zombies: PAWL_ZOMBIE_SEED=${seed} PAWL_ZOMBIES=${cells.length}\n`);
  world = await createWorld({ toolSeconds: 4 });
  await world.sql('create table bookings (reference text not null, amount bigint not null)');
  const { TEMPORAL_ADDRESS: _, ...env } = process.env;
  const found = await findTemporal({ env });
  if (found.kind !== 'executable') throw new Error('this test needs the temporal CLI');
  temporalCli = found.path;
  await world.startSurvivor();
  lane.start();
}, 180_000);
afterAll(() => world.close());

interface Sleeper {
  readonly cell: ZombieCell;
  readonly runKey: string;
  readonly reference: string;
}

interface Fact {
  readonly kind: string;
  readonly fence: number | null;
}

/** What the ledger and the receiver hold of one effect. */
async function standing({ runKey, reference }: Sleeper) {
  const [row] = (await world.sql(
    'select id, status, fence::int, claimed_by, has_conflict, output from pawl.effects where run_key = $1',
    [runKey],
  )) as {
    id: string;
    status: string;
    fence: number;
    claimed_by: string | null;
    has_conflict: boolean;
    output: unknown;
  }[];
  const facts = (await world.sql(
    'select kind, fence::int from pawl.effect_facts where effect_id = $1 order by ordinal',
    [row?.id],
  )) as Fact[];
  const rows = await world.sql('select 1 from bookings where reference = $1', [reference]);
  return {
    ...row,
    facts,
    writes: writesFor(world.bank, reference).length,
    receipts: world.bank.receipts({ reference }).length + rows.length,
  };
}
type Standing = Awaited<ReturnType<typeof standing>>;

async function fallAsleep(queue: string, cell: ZombieCell): Promise<Sleeper> {
  const runKey = `run_${ulid()}`;
  const reference = `${cell.tool}.${cell.point}`;
  if (cell.tool !== 'pay_keyed') world.bank.addMode(reference, 'no-idempotency');
  world.holds.plan(runKey, cell.point);
  const order = { tool: cell.tool, input: payment(reference), taskQueue: queue, runKey };
  await world.startEffect(order);
  await eventually(
    `${reference} stands`,
    () => world.holds.isReached(runKey) && hasArrived(cell, reference),
    PATIENCE_MS,
  );
  return { cell, runKey, reference };
}

/** A process that is frozen in the middle of a request has written it. */
function hasArrived({ point }: ZombieCell, reference: string): boolean {
  return point !== 'mid-request' || writesFor(world.bank, reference).length > 0;
}

async function pendingActivity({ runKey }: Sleeper) {
  const { raw } = await world.temporal.workflow.getHandle(runKey).describe();
  return raw.pendingActivities?.[0];
}

/** Temporal has noticed that the first attempt is not heard of any more. */
async function untilGivenUp(sleeper: Sleeper): Promise<void> {
  await eventually(
    `${sleeper.reference} is given up`,
    async () => ((await pendingActivity(sleeper))?.attempt ?? 0) > 1,
    PATIENCE_MS,
  );
}

/** By hand, as an operator would: `temporal activity reset`. */
async function resetActivity(sleeper: Sleeper): Promise<void> {
  const activityId = (await pendingActivity(sleeper))?.activityId ?? '';
  const words = ['activity', 'reset', '--workflow-id', sleeper.runKey, '--activity-id', activityId];
  await runFile(temporalCli, [...words, '--address', world.temporalAddress]);
}

async function untilFinishedByAnother(sleeper: Sleeper): Promise<Standing> {
  return eventually(
    `${sleeper.reference} is finished by another worker`,
    async () => {
      if (await pendingActivity(sleeper)) return undefined;
      const now = await standing(sleeper);
      return now.status === 'applied' || now.status === 'in_doubt' ? now : undefined;
    },
    PATIENCE_MS,
  );
}

const isLate = (fence: number, fact: Fact): boolean =>
  fence > 0 && fact.fence === fence && fact.kind !== 'dispatched';

/** One process: it stands at all its points, is frozen, is replaced, wakes up, and ends in its own time. */
async function sleepAndWake(batch: readonly ZombieCell[], at: number) {
  const queue = `zombies-${unique}-${at}`;
  const worker = await world.startWorker({ taskQueue: queue, obeysHolds: true });
  const sleepers = await Promise.all(batch.map((cell) => fallAsleep(queue, cell)));
  process.kill(worker.pid, 'SIGSTOP');
  for (const { runKey } of sleepers) world.holds.release(runKey);
  const fences = await Promise.all(sleepers.map(async (one) => (await standing(one)).fence ?? 0));
  await Promise.all(sleepers.map(untilGivenUp));
  await Promise.all(sleepers.filter(({ cell }) => cell.isReset).map(resetActivity));
  world.handOver(queue);
  const before = await Promise.all(sleepers.map(untilFinishedByAnother));
  process.kill(worker.pid, 'SIGCONT');
  await Promise.all(sleepers.map((sleeper, index) => untilTold(sleeper, fences[index] ?? 0)));
  // It lets what it has begun end first: whatever it would do, it has done then.
  await worker.stop();
  const after = await Promise.all(sleepers.map(standing));
  return sleepers.map(({ cell }, index) => ({
    cell,
    fence: fences[index] ?? 0,
    before: before[index] as Standing,
    after: after[index] as Standing,
  }));
}

async function untilTold(sleeper: Sleeper, fence: number): Promise<void> {
  if (lateFactsOf(sleeper.cell).length === 0) return;
  await eventually(
    `${sleeper.reference}: the zombie tells what it saw`,
    async () => (await standing(sleeper)).facts.some((fact) => isLate(fence, fact)),
    PATIENCE_MS,
  );
}

/** The one who took the message dies behind its send; it is delivered again, to two at once. */
async function redeliver(tool: string) {
  const name = `redelivered-${tool}`;
  const queues = [`${name}-${unique}-1`, `${name}-${unique}-2`] as const;
  const input = payment(name);
  const consumer = await world.startWorker({
    taskQueue: queues[0],
    crashAt: `after-send:${tool}`,
  });
  const { runKey, handle } = await world.startEffect({ tool, input, taskQueue: queues[0] });
  const { signal } = await consumer.gone;
  const again = await world.temporal.workflow.start('oneEffect', {
    workflowId: `${runKey}-again`,
    taskQueue: queues[1],
    args: [{ tool, runKey, input }],
  });
  for (const queue of queues) world.handOver(queue);
  const results: unknown[] = await Promise.all([handle.result(), again.result()]);
  return { signal, results, receipts: world.bank.receipts({ reference: name }) };
}

describe('a message that was taken and never acknowledged', () => {
  const redelivered = lane.plan(() => redeliver('pay_keyed'));

  guarantee(
    'F-32',
    'its consumer dies behind the send, and two workers get it at once → one effect, both have its receipt',
    async () => {
      const { signal, results, receipts } = await redelivered;
      expect(signal).toBe('SIGKILL');
      expect(receipts).toHaveLength(1);
      const transferId = receipts[0]?.receiptId;
      expect(results).toEqual([
        expect.objectContaining({ transferId }),
        expect.objectContaining({ transferId }),
      ]);
    },
    TEST_MS,
  );
});

describe('workers that are frozen past their heartbeats and woken when another one has finished', () => {
  const woken = batches.map((batch, at) => lane.plan(() => sleepAndWake(batch, at)));

  guarantee(
    ['S1-13', 'F-18', 'F-33', 'F-04'],
    `${cells.length} attempts, frozen with their ${batches.length === 1 ? 'process' : `${batches.length} processes`} → no send, no claim`,
    async () => {
      const all = (await Promise.all(woken)).flat();
      const sum = (of: (one: (typeof all)[number]) => number): number =>
        all.reduce((total, one) => total + of(one), 0);
      const sends = sum(({ before, after }) => after.writes - before.writes);
      const claims = sum(({ before, after }) => (after.fence ?? 0) - (before.fence ?? 0));
      process.stderr.write(
        `${all.length} wake-ups of real processes: ${sends} sends, ${claims} claims\n`,
      );
      expect({ wakeUps: all.length, sends, claims }).toEqual({
        wakeUps: cells.length,
        sends: 0,
        claims: 0,
      });
      for (const { before, after } of all) expect(after.claimed_by).toBe(before.claimed_by);
    },
    TEST_MS,
  );

  guarantee(
    ['S1-13', 'F-18', 'law-04-facts'],
    'what they had seen is kept, and changes only what was open: one effect each, no conflict',
    async () => {
      for (const { cell, fence, before, after } of (await Promise.all(woken)).flat()) {
        const isKnown = after.facts.some(({ kind }) => kind === 'applied');
        expect({ cell, ...after }).toMatchObject({
          cell,
          status: isKnown ? 'applied' : 'in_doubt',
          receipts: receiptsAfter(cell),
          has_conflict: false,
        });
        if (cell.tool !== 'pay_once') expect({ cell, isKnown }).toEqual({ cell, isKnown: true });
        if (before.status === 'applied') expect(after.output).toEqual(before.output);
        const late = after.facts.filter((fact) => isLate(fence, fact)).map(({ kind }) => kind);
        const isExpected = (kind: string): boolean => lateFactsOf(cell).includes(kind);
        if (lateFactsOf(cell).length === 0) expect({ cell, late }).toEqual({ cell, late: [] });
        else expect({ cell, late: late.filter(isExpected) }).not.toEqual({ cell, late: [] });
      }
    },
    TEST_MS,
  );
});
