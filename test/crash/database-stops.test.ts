// PostgreSQL is stopped as in a crash, again and again, under real workers. PAWL_DB_TROUBLE_SECONDS=300 makes the trouble long; PAWL_DB_TROUBLE_SEED repeats one.
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import { ulid } from 'ulid';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import type { WorkerProcess } from '../../devstack/worker-process.ts';
import { guarantee } from '../guarantee.ts';
import {
  audit,
  AUDITED_TOOLS,
  settleByTheBank,
  startRun,
  type StartedRun,
  untilQuiet,
} from './fixtures/books.ts';
import { type OwnPostgres, startOwnPostgres } from './fixtures/own-postgres.ts';
import { createPayerScript, modelRequestsOf } from './fixtures/payer-script.ts';
import { payment } from './fixtures/payments.ts';
import { createFactWatch, isAlive, planRun, stopAndGo, troubleOf } from './fixtures/trouble.ts';
import {
  createWorld,
  eventually,
  type StartedEffect,
  type World,
  writesFor,
} from './fixtures/world.ts';

const TEST_MS = 360_000;
const TASK_QUEUE = 'database-stops';
const { seed, seconds } = troubleOf(25);
let postgres: OwnPostgres;
let world: World;
let workers: readonly WorkerProcess[];

beforeAll(async () => {
  postgres = await startOwnPostgres();
  world = await createWorld({ script: createPayerScript(), databaseUrl: postgres.url });
  // A commit that nobody waits for is lost with every stop.
  await world.sql(`alter system set wal_writer_delay = '10s'`);
  await world.sql('select pg_reload_conf()');
  const first = await world.startWorker({ taskQueue: TASK_QUEUE });
  workers = [first, await world.startWorker({ taskQueue: TASK_QUEUE })];
  // The first request of a process is slow: it must not look like a fault.
  const warmUps = ['warm-up-1', 'warm-up-2'].map((name) => start('pay_keyed', name));
  for (const started of await Promise.all(warmUps)) await started.handle.result();
}, 180_000);
afterAll(async () => {
  await world.close();
  await postgres.close();
});

const start = (tool: string, name: string): Promise<StartedEffect> =>
  world.startEffect({ tool, input: payment(name), taskQueue: TASK_QUEUE });
const receiptsOf = (reference: string): number => world.bank.receipts({ reference }).length;
const requestsOf = (reference: string): number => writesFor(world.bank, reference).length;

/** The bank was asked about this reference. */
const wasAsked = (reference: string): boolean =>
  world.bank
    .requests({ method: 'GET' })
    .some(({ path }) => path.includes(encodeURIComponent(reference)));

/** The types of the last failures of what a workflow waits for now. */
async function pendingFailures(handle: WorkflowHandle): Promise<readonly string[]> {
  const { raw } = await handle.describe();
  return (raw.pendingActivities ?? []).flatMap(({ lastFailure }) =>
    lastFailure ? [lastFailure.applicationFailureInfo?.type ?? ''] : [],
  );
}

/** What each finished activity of a workflow returned, beside its type, in order. */
async function resultsOf(handle: WorkflowHandle): Promise<(readonly [string, unknown])[]> {
  const { events } = await handle.fetchHistory();
  const types = new Map(
    (events ?? []).map((event) => [
      String(event.eventId),
      event.activityTaskScheduledEventAttributes?.activityType?.name ?? '',
    ]),
  );
  return (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: done }) => {
    const payload = done?.result?.payloads?.[0];
    if (!done || !payload) return [];
    const { value } = defaultPayloadConverter.fromPayload<{ value: unknown }>(payload as Payload);
    return [[types.get(String(done.scheduledEventId)) ?? '', value] as const];
  });
}

describe('PostgreSQL is down before a send', () => {
  guarantee(
    ['database-trouble', 'law-05-write-ahead'],
    'before the intent → nothing is sent and it is tried again; back → sent once',
    async () => {
      const name = 'before-intent';
      await postgres.stop();
      const started = await Promise.all(
        AUDITED_TOOLS.map((tool) => start(tool, `${name}-${tool}`)),
      );
      for (const each of started) await expectRetries(each);
      expect(AUDITED_TOOLS.map((tool) => requestsOf(`${name}-${tool}`))).toEqual([0, 0, 0]);
      await postgres.start();
      await Promise.all(started.map(({ handle }) => handle.result()));
      expect(AUDITED_TOOLS.map((tool) => requestsOf(`${name}-${tool}`))).toEqual([1, 1, 1]);
      expect(AUDITED_TOOLS.map((tool) => receiptsOf(`${name}-${tool}`))).toEqual([1, 1, 1]);
    },
    TEST_MS,
  );

  guarantee(
    ['database-trouble', 'law-05-write-ahead'],
    'between intent and permit → nothing is sent and it is tried again; back → sent once',
    async () => {
      const name = 'before-permit';
      // This tool looks before it pays: meanwhile the database stops.
      world.bank.setMode({ reference: name, method: 'GET' }, 'slow', { delayMs: 1_500 });
      const started = await start('pay_checked', name);
      await eventually('the tool looks', () => wasAsked(name));
      await postgres.stop();
      await expectRetries(started);
      expect(requestsOf(name)).toBe(0);
      await postgres.start();
      expect(await started.handle.result()).toMatchObject({ reference: name });
      expect([requestsOf(name), receiptsOf(name)]).toEqual([1, 1]);
    },
    TEST_MS,
  );

  function expectRetries({ handle }: StartedEffect): Promise<unknown> {
    return eventually('it is tried again', async () =>
      (await pendingFailures(handle)).includes('Ledger.Unavailable'),
    );
  }
});

describe('PostgreSQL is down after a send', () => {
  const TOOLS = [...AUDITED_TOOLS, 'pay_misread'];
  interface Lost {
    readonly label: string;
    readonly effects: ReadonlyMap<string, StartedEffect>;
    readonly runKey: string;
  }
  let lost: Lost;

  /** Four effects and an agent's payment are on the wire when PostgreSQL stops. */
  async function sendAndStop(label: string): Promise<Lost> {
    const references = [...TOOLS.map((tool) => `${label}-${tool}`), `${label}-2`];
    for (const reference of references) {
      world.bank.setMode(reference, 'slow', { delayMs: 4_000, times: 1 });
    }
    const { runKey } = await world.startRun(TASK_QUEUE, 'payer', { label, payments: 3 });
    await eventually('the agent pays again', () => modelRequestsOf(world.provider, label)[1]);
    const effects = await Promise.all(
      TOOLS.map(async (tool) => [tool, await start(tool, `${label}-${tool}`)] as const),
    );
    await eventually('the bank has paid all', () => references.every((each) => receiptsOf(each)));
    await postgres.stop();
    return { label, effects: new Map(effects), runKey };
  }

  /** False when one of them had its answer before the stop, or none in time: a busy machine is no fault. */
  async function areAllUnrecorded({ effects, runKey }: Lost): Promise<boolean> {
    const handles = [...effects.values()].map(({ handle }) => handle);
    const ends = [...handles, world.temporal.workflow.getHandle(runKey)].map((handle) =>
      eventually('its outcome is in the history, or it is tried again', async () => {
        const results = JSON.stringify(await resultsOf(handle));
        if (results.includes('unrecorded')) return { isUnrecorded: true };
        const { status } = await handle.describe();
        const isLate = status.name !== 'RUNNING' || (await pendingFailures(handle)).length > 0;
        return isLate && { isUnrecorded: false };
      }),
    );
    return (await Promise.all(ends)).every(({ isUnrecorded }) => isUnrecorded);
  }

  beforeAll(async () => {
    for (let round = 1; round <= 5; round += 1) {
      lost = await sendAndStop(`lost-${round}`);
      const isDone = await areAllUnrecorded(lost);
      await postgres.start();
      if (isDone) return;
    }
    throw new Error(
      'In five rounds PostgreSQL never stopped between all answers and their records',
    );
  }, TEST_MS);

  guarantee.each(
    ['database-trouble', 'law-05-write-ahead'],
    AUDITED_TOOLS.map((tool) => [tool] as const),
  )(
    '%s → `unrecorded` in the history, later written back, one request, one receipt',
    async (tool) => {
      const reference = `${lost.label}-${tool}`;
      const { handle, runKey } = lost.effects.get(tool) ?? fail(tool);
      const [receipt] = world.bank.receipts({ reference });
      const output = { transferId: receipt?.receiptId, reference };
      expect(await handle.result()).toEqual(output);
      const [first, ...rest] = await resultsOf(handle);
      const facts = [{ kind: 'applied', source: 'response', output }];
      expect(first).toEqual([
        `tool.${tool}`,
        expect.objectContaining({ kind: 'unrecorded', facts }),
      ]);
      expect(rest.map(([type]) => type)).toEqual(['pawl.writeBack', `tool.${tool}`]);
      expect(await factsOf(runKey)).toEqual([
        { kind: 'intended', back: null },
        { kind: 'dispatched', back: null },
        { kind: 'applied', back: true },
      ]);
      expect([requestsOf(reference), receiptsOf(reference)]).toEqual([1, 1]);
    },
    TEST_MS,
  );

  guarantee(
    'database-trouble',
    'an output that does not match its schema → its problem is written back, too',
    async () => {
      const { handle, runKey } = lost.effects.get('pay_misread') ?? fail('pay_misread');
      await handle.result();
      expect(await world.effectOf(runKey)).toMatchObject({
        status: 'applied',
        outputProblem: expect.stringContaining('bookedAt'),
      });
    },
    TEST_MS,
  );

  guarantee(
    ['database-trouble', 'law-05-write-ahead'],
    'in an agent’s run → its outcome is written back, the run goes on, each payment once',
    async () => {
      expect(await world.pawl.result(lost.runKey)).toMatchObject({ result: { kind: 'completed' } });
      const results = await resultsOf(world.temporal.workflow.getHandle(lost.runKey));
      const types = results.map(([type]) => type);
      expect(types.filter((type) => type === 'pawl.writeBack')).toHaveLength(1);
      // Three calls, and a second look at the one whose outcome was written back: the ledger says how it ended.
      expect(types.filter((type) => type === 'tool.pay_keyed')).toHaveLength(4);
      const references = [1, 2, 3].map((at) => `${lost.label}-${at}`);
      expect(references.map(requestsOf)).toEqual([1, 1, 1]);
      expect(modelRequestsOf(world.provider, lost.label)).toEqual([1, 1, 1, 1]);
    },
    TEST_MS,
  );

  /** The facts of a run's only effect as they are stored. */
  function factsOf(runKey: string): Promise<readonly unknown[]> {
    return world.sql(
      `select f.kind, (f.data->>'writtenBack')::boolean as back from pawl.effect_facts f
       join pawl.effects e on e.tenant = f.tenant and e.id = f.effect_id
       where e.run_key = $1 order by f.ordinal`,
      [runKey],
    );
  }

  function fail(tool: string): never {
    throw new Error(`${tool} was not started`);
  }
});

describe('PostgreSQL stops when a human’s word has just been taken up', () => {
  guarantee(
    ['database-trouble', 'law-12-rolled-back'],
    'the workflow is at its next effect → no false alarm of a rolled-back ledger: it goes on',
    async () => {
      const [first, second] = ['settled-1', 'settled-2'].map(payment);
      if (!first || !second) throw new Error('two payments');
      world.bank.setMode(first.reference, 'commit-then-reset');
      world.bank.setMode({ reference: second.reference, method: 'GET' }, 'slow', {
        delayMs: 1_500,
      });
      const run = await startRun(world, {
        ...{ runKey: `run_${ulid()}`, taskQueue: TASK_QUEUE },
        steps: [
          { tool: 'pay_once', input: first },
          { tool: 'pay_checked', input: second },
        ],
      });
      const [doubt] = await untilQuiet(world, [run]);
      // From here on nothing is flushed for ten seconds, unless somebody waits for it.
      await postgres.stop();
      await postgres.start();
      await world.pawl.settle(doubt?.effect ?? '', {
        ...{ outcome: 'applied', output: { transferId: 'by-hand', reference: first.reference } },
        ...{ evidence: 'the statement', by: 'olga' },
      });
      await eventually('the second effect looks', () => wasAsked(second.reference));
      await postgres.stop();
      await postgres.start();
      await eventually('the workflow has ended', () => run.end);
      expect(run.end).toMatchObject({
        outputs: [{ transferId: 'by-hand' }, { reference: second.reference }],
      });
      expect(receiptsOf(second.reference)).toBe(1);
    },
    TEST_MS,
  );
});

describe('PostgreSQL stops every 5 to 10 s', () => {
  guarantee(
    'database-trouble',
    `as in a crash, for ${seconds} s under load, seed ${seed} → no duplicate, nothing lost, no committed fact gone, nothing silent, the workers live`,
    async () => {
      const random = seededRandom(seed);
      const facts = createFactWatch(world);
      const runs: StartedRun[] = [];
      const endsAtMs = Date.now() + seconds * 1_000;
      const load = async (): Promise<void> => {
        for (let at = 1; Date.now() < endsAtMs; at += 1) {
          const plan = planRun(world, `stops-${at}`, random);
          runs.push(await startRun(world, { ...plan, taskQueue: TASK_QUEUE }));
          const isOpen = ({ end }: StartedRun): boolean => !end;
          await eventually('the workers keep up', () => runs.filter(isOpen).length < 40, 120_000);
        }
      };
      const [stops] = await Promise.all([
        stopAndGo(postgres, { endsAtMs, random, beforeStop: facts.look }),
        load(),
      ]);
      const doubts = await untilQuiet(world, runs);
      const books = await audit(world, runs);
      process.stderr.write(
        `PostgreSQL stops, seed ${seed}: ${runs.length} workflows, ${stops} stops, ${facts.count()} facts seen, ` +
          `${JSON.stringify(books.counts)}, ${doubts.length} doubts\n`,
      );
      expect(books.wrong).toEqual([]);
      expect(await facts.gone()).toEqual([]);
      await settleByTheBank(world, runs);
      expect((await audit(world, runs)).wrong).toEqual([]);
      expect(await facts.gone()).toEqual([]);
      expect(workers.map(({ pid }) => isAlive(pid))).toEqual([true, true]);
      expect(stops).toBeGreaterThanOrEqual(Math.floor(seconds / 13));
    },
    TEST_MS + seconds * 2_000,
  );
});
