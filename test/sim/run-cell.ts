// One run of one cell: workers with the real engine, the server, the reconciler, people; until nothing moves any more.
import type { Context } from '@temporalio/activity';
import type { Info } from '@temporalio/activity';
import { claimOf } from '../../activities/effects/claim.ts';
import { createEffectEngine } from '../../activities/effects/effect-engine.ts';
import { reconcile } from '../../activities/effects/reconcile.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import type { Database } from '../../activities/ledger/database.ts';
import type {
  EffectIntent,
  EffectLedger,
  FactEntry,
} from '../../activities/ledger/effect-ledger.ts';
import { callRead, retryRead } from '../../activities/runs/call-read.ts';
import { fingerprint } from '../../activities/effects/fingerprint.ts';
import { toIntent } from '../../activities/runs/propose-call.ts';
import type { EffectOutcome, Unrecorded } from '../../domain/rules/effect-outcome.ts';
import { isRefusal } from '../../domain/schemas/outcomes.ts';
import { type Cell, dice, type Plan, planOf } from './cells.ts';
import { createProcess, type SimProcess } from './process.ts';
import { createRemoteLedger } from './remote-ledger.ts';
import { createRemoteWire } from './remote-wire.ts';
import { createServer, HEARTBEAT_MS, type Server, START_TO_CLOSE_MS, type Task } from './server.ts';
import { RECEIPTS, toolFor } from './tools.ts';
import { type Activities, startWorkflow, type Workflow } from './workflow.ts';
import { createWorld, type World } from './world.ts';

/** What a run has left behind. */
export interface Ran {
  readonly plan: Plan;
  readonly world: World;
  readonly workflow: Workflow;
  readonly intent: EffectIntent;
  /** False: the last event has passed, and the workflow still waits. */
  readonly isOver: boolean;
}

const TENANT = 'acme';
const RUN_KEY = 'run_simulated';
const SETTLES_AFTER_MS = 300_000;
/** Long enough for every lease and outage; then whatever is left to happen happens. */
const SWEEPS_AFTER_END = 12;

/** A worker: one process with its own connections and its own engine. */
interface Worker {
  readonly process: SimProcess;
  readonly ledger: EffectLedger;
  readonly wire: typeof fetch;
}

/** The same cell and seed give the same run, event by event. */
export async function runCell(cell: Cell, seed: number): Promise<Ran> {
  const plan = planOf(cell, seed);
  const world = createWorld(plan);
  const crew = createCrew(world);
  const server = createServer(world, crew.processes);
  const intent = intentOf(world);
  if (cell.point === 'after-decision') approve(world, intent);
  const workflow: Workflow = startWorkflow(world, server, activitiesOf(world, crew, intent), () =>
    askHuman(world, intent, () => workflow.wake()),
  );
  world.hands = {
    restart: (dead, afterMs) => crew.restart(dead, afterMs, server),
    others: (process) => crew.processes().filter((each) => each !== process),
    reset: () => server.reset(),
    terminate: () => workflow.terminate(),
    control: (control) => {
      world.note('people', JSON.stringify(control));
      void world.memory.setControl(TENANT, RUN_KEY, control).then(() => workflow.wake());
    },
  };
  const isSwept = startReconciler(world, crew, workflow);
  const isOver = await world.time.run(() => !workflow.isRunning() && isSwept());
  // Zombies wake, late answers arrive: to the last event.
  await world.time.run(() => false);
  return { plan, world, workflow, intent, isOver };
}

interface Crew {
  processes(): readonly SimProcess[];
  workerOf(process: SimProcess): Worker;
  restart(dead: SimProcess, afterMs: number, server: Server): void;
}

function createCrew(world: World): Crew {
  const { time, random, blows } = world;
  const workers = new Map<SimProcess, Worker>();
  const hire = (name: string): void => {
    const process = createProcess({
      name,
      time,
      random,
      onMessage(each) {
        for (const blow of blows.take('anywhere')) world.strike(blow, each);
      },
    });
    const ledger = createRemoteLedger(world, process);
    const wire = createRemoteWire(world, process);
    workers.set(process, { process, ledger, wire });
  };
  for (let at = 1; at <= world.plan.processes; at += 1) hire(`worker ${at}`);
  return {
    processes: () => [...workers.keys()],
    workerOf: (process) => workers.get(process) as Worker,
    restart(dead, afterMs, server) {
      workers.delete(dead);
      time.after(afterMs, () => {
        hire(`${dead.name.split('.')[0]}.${world.count.deaths}`);
        server.poll();
      });
    },
  };
}

function intentOf({ plan }: World): EffectIntent {
  const tool = toolFor(plan.cell);
  const address = {
    tenant: TENANT,
    rootKey: RUN_KEY,
    path: [],
    turn: 0,
    call: 'pay',
    generation: 0,
  };
  const stored = { cents: 100 };
  const terms = { identityHash: null, amount: null, summary: 'pay' };
  return toIntent(tool, address, RUN_KEY, { stored, fingerprint: fingerprint(stored) }, terms);
}

function activitiesOf(world: World, crew: Crew, intent: EffectIntent): Activities {
  const { plan } = world;
  const tool = toolFor(plan.cell);
  return {
    perform: (seqSeen) => async (process, task) => {
      const { ledger, wire } = crew.workerOf(process);
      const info = infoOf(task);
      if (tool.contract === 'read') return performRead(world, wire, intent, info);
      const { clock } = process;
      const startedAtMs = clock.nowMs();
      const crash = world.hookOf(process);
      const engine = createEffectEngine({ ledger, wire, crash, clock, random: world.random });
      const pid = plan.isPidShared ? 'in container' : `in ${process.name}`;
      const outcome = await engine.perform({
        tool,
        tenant: TENANT,
        id: intent.id,
        rootKey: RUN_KEY,
        intent,
        claim: { ...claimOf(info, tool), by: `${task.activity}.${task.attempt} ${pid}` },
        seqSeen,
        isGivenUp: () => plan.noticesSleep && process.hasSlept(startedAtMs, HEARTBEAT_MS),
      });
      await crash('before-return', tool.name);
      return outcome;
    },
    writeBack: (outcome) => async (process) => {
      const { ledger } = crew.workerOf(process);
      return (await ledger.append(TENANT, outcome.effect, toEntries(outcome))).seq;
    },
  };
}

/** As activities/index.ts does it. */
function toEntries({ facts, fence, outputProblem }: Unrecorded): FactEntry[] {
  return facts.map((fact) => ({
    fact,
    details: { writtenBack: true },
    ...(fence === undefined ? {} : { fence }),
    ...(outputProblem === undefined ? {} : { outputProblem }),
  }));
}

function infoOf({ activity, attempt, scheduledAtMs, firstScheduledAtMs }: Task): Info {
  return {
    activityId: activity,
    attempt,
    currentAttemptScheduledTimestampMs: scheduledAtMs,
    scheduledTimestampMs: firstScheduledAtMs,
    startToCloseTimeoutMs: START_TO_CLOSE_MS,
  } as Info;
}

/** As activities/runs/run-step.ts does it. */
async function performRead(
  world: World,
  wire: typeof fetch,
  { id }: EffectIntent,
  info: Info,
): Promise<EffectOutcome> {
  const tool = toolFor(world.plan.cell);
  const context = { cancellationSignal: new AbortController().signal } as Context;
  const place = { tenant: TENANT, runKey: RUN_KEY, id };
  try {
    const judged = await callRead({ wire }, tool, place, { cents: 100 }, context);
    return { kind: 'applied', ...judged, alreadyApplied: false, seq: 0 };
  } catch (error) {
    if (isRefusal(error)) return { kind: 'refused', code: error.code, message: '', seq: 0 };
    if (info.attempt >= tool.sendsMax)
      return { kind: 'failed', message: describeThrown(error), seq: 0 };
    throw retryRead(tool, info.attempt, error, world.random());
  }
}

/** Sweeps ever more rarely; says when it has looked for long enough after the workflow's end. */
function startReconciler(world: World, crew: Crew, workflow: Workflow): () => boolean {
  const { time } = world;
  let sweepsLeft = SWEEPS_AFTER_END;
  let delayMs = 10_000;
  const sweep = (): void => {
    const well = crew.processes().filter((process) => process.isWell());
    const process = well[dice(world.random, well.length) - 1];
    process?.deliver(() => sweepOnce(world, crew.workerOf(process), workflow));
    delayMs = workflow.isRunning() ? Math.min(3_600_000, delayMs * 1.3) : 10_000;
    // A sweep that nobody is there to make is none.
    if (!workflow.isRunning() && process) sweepsLeft -= 1;
    if (sweepsLeft > 0) time.after(delayMs, sweep);
  };
  time.after(world.random() * delayMs, sweep);
  return () => sweepsLeft === 0;
}

function sweepOnce(world: World, { process, ledger, wire }: Worker, workflow: Workflow): void {
  const query = (text: string): Promise<object[]> =>
    Promise.resolve(text.includes('pawl.settlements') ? noticeRows(world) : []);
  const tool = toolFor(world.plan.cell);
  const database = { query } as unknown as Database;
  reconcile({
    database,
    ledger,
    wire,
    tools: new Map([[tool.name, tool]]),
    crash: world.hookOf(process),
    clock: process.clock,
    workflows: {
      isRunning: () => Promise.resolve(workflow.isRunning()),
      signal() {
        workflow.wake();
        return Promise.resolve(workflow.isRunning());
      },
    },
  }).then(
    (report) => {
      if (report.overdue > 0) world.note(process.name, `sweep: ${JSON.stringify(report)}`);
    },
    // The next sweep comes by itself.
    (error: unknown) => world.note(process.name, `sweep failed: ${String(error)}`),
  );
}

function noticeRows({ memory }: World): object[] {
  return memory.waitingNotices().map(({ effect }) => ({
    tenant: effect.tenant,
    effect_id: effect.id,
    root_key: effect.rootKey,
  }));
}

/** Reads the receiver's own log, long after anything can still be under way, and settles by it. */
function askHuman(world: World, intent: EffectIntent, wake: () => void): void {
  if (!world.plan.hasHuman) return;
  world.time.after(SETTLES_AFTER_MS, () => {
    const [effect] = world.memory.effects();
    if (effect?.state.status !== 'in_doubt' || world.memory.waitingNotices().length > 0) return;
    const [receipt] = world.receiver.receipts;
    const outcome = receipt ? 'applied' : 'not_applied';
    const output = receipt ? { receiptId: receipt.receiptId } : null;
    world.note('people', `settle: ${outcome}`);
    void world.memory.settle(intent, { id: `s${world.time.nowMs()}`, outcome, output }).then(wake);
  });
}

function approve({ memory, plan }: World, intent: EffectIntent): void {
  memory.setApproval(intent, {
    id: 'ap_1',
    fingerprint: intent.fingerprint,
    toolPin: 'pin',
    requirement: 'any approver',
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    decision: 'approve',
    decidedAtMs: plan.skewMs,
    approver: 'ada',
    reason: null,
    isBound: true,
  });
}

/** The receipts of the effect, by whoever keeps them. */
export function receiptIdsOf({ world, plan }: Ran): readonly string[] {
  if (plan.cell.contract === 'transactional') {
    return world.memory.rows(RECEIPTS).map((row) => String(row['receipt_id']));
  }
  return world.receiver.receipts.map(({ receiptId }) => receiptId);
}
