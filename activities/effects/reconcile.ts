// The reconciler: looks after effects whose workflow may be gone, and wakes runs whose rows have moved without them.
import { ABSENTS_NEEDED, nextMove } from '../../domain/rules/next-move.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { type Database, LedgerUnavailable } from '../ledger/database.ts';
import {
  type BeginAnswer,
  type EffectLedger,
  type EffectRecord,
  type OpenEffect,
  toView,
} from '../ledger/effect-ledger.ts';
import type { Clock } from '../clock.ts';
import type { CrashHook } from './crash-points.ts';
import { LOOK_PAUSE_MS } from './effect-waits.ts';
import { type Probed, probeOnce } from './probe.ts';
import { foldWaitingNotices, wakeDecided, wakeSettled } from './wake-waiting.ts';
import type { Wire } from './wire.ts';

export interface ReconcilerDeps {
  readonly database: Database;
  readonly ledger: EffectLedger;
  readonly tools: ReadonlyMap<string, AnyTool>;
  readonly wire: Wire;
  readonly crash: CrashHook;
  readonly clock: Clock;
  readonly workflows: WorkflowsPort;
}

/** What the reconciler asks of Temporal. */
export interface WorkflowsPort {
  isRunning(workflowId: string): Promise<boolean>;
  /** False when nobody is there to be woken. */
  signal(workflowId: string, signal: string, payload: object): Promise<boolean>;
}

/** What one sweep did, for its own history and for `pawl doctor`. */
export interface SweepReport {
  readonly overdue: number;
  readonly probed: number;
  readonly doubted: number;
  readonly settled: number;
  readonly woken: number;
}

/** So many effects change in one sweep; the next one goes on. Those of live workflows do not count. */
const SWEEP_LIMIT = 200;
/** Half of what the sweep's activity may take. */
const SWEEP_MAX_MS = 60_000;
/** Receivers are asked side by side: one that hangs must not hold up the rest. */
const SIDE_BY_SIDE = 5;
/** One look at one effect, the probe's own time included. */
const LOOK_MAX_MS = 10_000;
/** What a sweep spends on one effect whose workflow is gone; the next sweep goes on. */
const ROW_MAX_MS = 15_000;

/** One sweep. Sends nothing, ever: it probes, doubts, folds in settlements and wakes. */
export async function reconcile(deps: ReconcilerDeps): Promise<SweepReport> {
  const { settled, unfolded } = await foldWaitingNotices(deps);
  const looks = createLooks(deps);
  // What needs no receiver comes first: a probe that kills its worker must not keep a doubt from being seen.
  const toAsk = await concludeOverdue(deps, looks);
  const woken = (await wakeDecided(deps)) + (await wakeSettled(deps, looks.failures));
  const doubts = await deps.ledger.findDoubtsToAsk([...deps.tools.keys()], SWEEP_LIMIT);
  await askReceivers(deps, looks, [...toAsk, ...doubts]);
  const told = looks.count.probed > 0 ? await wakeSettled(deps, looks.failures) : 0;
  // Told last: one effect that cannot be looked after keeps nobody else waiting.
  const [failure] = [...unfolded, ...looks.failures];
  if (failure !== undefined) throw failure;
  const { probed, doubted } = looks.count;
  return { overdue: looks.seen.size, probed, doubted, settled, woken: woken + told };
}

/** What a sweep has done so far. */
interface Looks {
  readonly seen: Set<string>;
  readonly count: { probed: number; doubted: number; left: number };
  readonly failures: unknown[];
  readonly isOwned: Ownership;
  isLate(): boolean;
}

function createLooks(deps: ReconcilerDeps): Looks {
  const startedAtMs = deps.clock.nowMs();
  return {
    seen: new Set(),
    count: { probed: 0, doubted: 0, left: 0 },
    failures: [],
    isOwned: createOwnership(deps),
    isLate: () => deps.clock.nowMs() - startedAtMs > SWEEP_MAX_MS,
  };
}

/** Keeps a failure to the effect that it is about; without the ledger nothing can be looked after. */
async function isolate(looks: Looks, work: () => Promise<Did>): Promise<Did> {
  try {
    const did = await work();
    if (did !== 'ask') looks.count[did] += 1;
    return did;
  } catch (error) {
    if (error instanceof LedgerUnavailable) throw error;
    looks.failures.push(error);
    return 'left';
  }
}

/**
 * Puts in doubt what needs no look, and returns what has to be asked. What is left to a live workflow stays overdue: it is
 * passed over, so that none starves behind it.
 */
async function concludeOverdue(
  { ledger, ...deps }: ReconcilerDeps,
  looks: Looks,
): Promise<readonly OpenEffect[]> {
  const { seen, count } = looks;
  const toAsk: OpenEffect[] = [];
  for (;;) {
    const free = SWEEP_LIMIT - count.doubted - toAsk.length;
    const overdue = await ledger.findOverdue(seen.size + free);
    const fresh = overdue.filter(({ tenant, id }) => !seen.has(`${tenant} ${id}`)).slice(0, free);
    for (const { tenant, id } of fresh) seen.add(`${tenant} ${id}`);
    await inParallel(fresh, SIDE_BY_SIDE, async (effect) => {
      const look = (): Promise<Did> => lookAfter({ ledger, ...deps }, effect, looks.isOwned);
      if ((await isolate(looks, look)) === 'ask') toAsk.push(effect);
    });
    const isFull = count.doubted + toAsk.length >= SWEEP_LIMIT;
    if (fresh.length < free || looks.isLate() || isFull) return toAsk;
  }
}

/** Each is noted before it is asked about: one that has killed its worker is asked about after all others, alone. */
async function askReceivers(
  deps: ReconcilerDeps,
  looks: Looks,
  effects: readonly OpenEffect[],
): Promise<void> {
  const askAbout = async (effect: OpenEffect): Promise<void> => {
    if (looks.isLate()) return;
    await isolate(looks, async () => {
      await deps.ledger.noteLook(effect.tenant, effect.id);
      return ask(deps, effect, looks.isOwned);
    });
  };
  const isSuspect = (effect: OpenEffect): boolean => effect.isSuspect;
  await inParallel(
    effects.filter((effect) => !isSuspect(effect)),
    SIDE_BY_SIDE,
    askAbout,
  );
  await inParallel(effects.filter(isSuspect), 1, askAbout);
}

async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** Whether some workflow may still go on with the effect; asked once a sweep and workflow. */
type Ownership = (effect: Pick<EffectRecord, 'workflowId'>) => Promise<boolean>;

function createOwnership({ workflows }: ReconcilerDeps): Ownership {
  const asked = new Map<string, Promise<boolean>>();
  return ({ workflowId }) => {
    if (workflowId === null) return Promise.resolve(false);
    const answer = asked.get(workflowId) ?? workflows.isRunning(workflowId);
    asked.set(workflowId, answer);
    return answer;
  };
}

type Did = 'probed' | 'doubted' | 'left' | 'ask';

function begin({ ledger }: ReconcilerDeps, { tenant, id, rootKey }: OpenEffect) {
  return ledger.begin(tenant, id, rootKey);
}

/** The legal move as of now, without a word to the receiver. */
async function lookAfter(
  deps: ReconcilerDeps,
  effect: OpenEffect,
  isOwned: Ownership,
): Promise<Did> {
  const seen = await begin(deps, effect);
  return seen ? conclude(deps, seen, isOwned) : 'left';
}

async function conclude(
  deps: ReconcilerDeps,
  { record, nowMs }: BeginAnswer,
  isOwned: Ownership,
): Promise<Did> {
  const move = nextMove(toView(record), nowMs);
  switch (move.kind) {
    case 'probe':
      if (deps.tools.has(record.tool)) return 'ask';
      if (record.state.status === 'in_doubt' || (await isOwned(record))) return 'left';
      return doubt(deps, record, `this worker has no ${record.tool} to ask with`);
    case 'doubt':
      return doubt(deps, record, `${move.reason}${await tellOwner(record, isOwned)}`);
    case 'send':
    case 'resend':
      // Sending is the run's own business, as long as there is a run.
      return (await isOwned(record)) ? 'left' : concludeOrphan(deps, record);
    case 'wait':
    case 'return':
      return 'left';
  }
}

/** Who looks at a doubt wants to know whether a run waits for it; not knowing that keeps no doubt back. */
async function tellOwner(record: EffectRecord, isOwned: Ownership): Promise<string> {
  if (record.workflowId === null) return '';
  const isGone = await isOwned(record).then(
    (owned) => !owned,
    () => false,
  );
  return isGone ? '; its workflow is gone' : '';
}

/** Nobody will send it again: whoever can be asked is asked, and what cannot be known is a doubt. */
function concludeOrphan(deps: ReconcilerDeps, record: EffectRecord): Promise<Did> {
  const isAbsent = record.state.absents >= ABSENTS_NEEDED;
  if (record.hasProbe && !isAbsent && deps.tools.has(record.tool)) return Promise.resolve('ask');
  const what = isAbsent
    ? 'sent, and then the probe did not find it'
    : 'sent without a recorded answer';
  return doubt(deps, record, `${what}, and its workflow is gone: nobody sends it again`);
}

/** Asks, and asks again until something is known: of an orphan that is the sweep's own business, of others one look is. */
async function ask(deps: ReconcilerDeps, effect: OpenEffect, isOwned: Ownership): Promise<Did> {
  const tool = deps.tools.get(effect.tool);
  if (!tool) return 'left';
  const quick = { ...deps, lookMaxMs: LOOK_MAX_MS };
  const untilMs = deps.clock.nowMs() + ROW_MAX_MS;
  for (let did: Did = 'left'; ; did = 'probed') {
    const seen = await begin(deps, effect);
    const next = seen ? await conclude(deps, seen, isOwned) : 'left';
    if (!seen || next !== 'ask') return next === 'left' ? did : next;
    const { record, nowMs } = seen;
    // Put in doubt by the look before this one: from now on it is asked about now and then.
    if (did === 'probed' && record.state.status === 'in_doubt') return did;
    const probed = await probeOnce(quick, tool, record, nowMs);
    const isWaiting = record.state.status === 'in_doubt' || record.state.isPending === true;
    if (isWaiting || (await isOwned(record))) return 'probed';
    const pauseMs = pauseAfter(probed, nowMs);
    if (deps.clock.nowMs() + pauseMs > untilMs) return 'probed';
    await deps.clock.sleep(pauseMs);
  }
}

function pauseAfter(probed: Probed, nowMs: number): number {
  switch (probed.kind) {
    case 'answered':
      return LOOK_PAUSE_MS;
    case 'failed':
      return probed.afterMs;
    case 'too-early':
      return Math.max(LOOK_PAUSE_MS, probed.untilMs - nowMs);
  }
}

/** Left to whoever has changed it since it was looked at. */
async function doubt(deps: ReconcilerDeps, record: EffectRecord, reason: string): Promise<Did> {
  const answer = await deps.ledger.conclude(record, [{ fact: { kind: 'doubted', reason } }]);
  return answer ? 'doubted' : 'left';
}
