// What all parts of one simulated run share: time, dice, trace, receiver, ledger, the blows and what they strike.
import type { CrashHook, CrashPoint } from '../../activities/effects/crash-points.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import {
  createMemoryEffectLedger,
  type MemoryEffectLedger,
} from '../../testing/memory-effect-ledger.ts';
import { createBlows, type Blows } from './blows.ts';
import type { Blow, Plan, Point } from './cells.ts';
import type { SimProcess } from './process.ts';
import { createReceiver, type Receiver } from './receiver.ts';
import { createVirtualTime, type VirtualTime } from './virtual-time.ts';

/** What people and the server do when a blow asks for it. */
export interface Hands {
  restart(dead: SimProcess, afterMs: number): void;
  others(process: SimProcess): readonly SimProcess[];
  reset(): void;
  terminate(): void;
  control(control: { readonly paused?: boolean; readonly cancelled?: boolean }): void;
}

export interface World {
  readonly plan: Plan;
  readonly time: VirtualTime;
  readonly random: () => number;
  readonly chance: (share: number) => boolean;
  readonly receiver: Receiver;
  readonly memory: MemoryEffectLedger;
  readonly blows: Blows;
  readonly trace: string[];
  note(who: string, what: string): void;
  /** The ledger's database does not answer now. */
  isLedgerDown(): boolean;
  strike(blow: Blow, process: SimProcess): void;
  hookOf(process: SimProcess): CrashHook;
  /** Points that were passed by a blow, by what it did: `die dispatch-commit`. */
  readonly struck: string[];
  /** Errors of attempts that neither Pawl nor its ledger has thrown on purpose. */
  readonly surprises: string[];
  hands: Hands;
  readonly count: Counts;
}

export interface Counts {
  deaths: number;
  /** Writes that were put on the wire. */
  sends: number;
  /** Permits that the ledger has given, whatever became of them. */
  permits: number;
  /** The longest that an activity had been tried when an attempt of it was scheduled. */
  triedForMs: number;
}

const EPOCH_MS = 1_700_000_000_000;

export function createWorld(plan: Plan): World {
  // Another stream than the plan's own: what is decided before is not thrown again.
  const random = seededRandom(plan.seed ^ 0x5eed);
  const time = createVirtualTime(random);
  const trace: string[] = [];
  let ledgerBackAtMs = 0;
  const note = (who: string, what: string): void => {
    trace.push(`${(time.nowMs() / 1_000).toFixed(3).padStart(11)} ${who.padEnd(8)} ${what}`);
  };
  const blows = createBlows(plan.blows);
  const world: World = {
    plan,
    time,
    random,
    chance: (share) => random() < share,
    receiver: createReceiver(time, plan, random),
    memory: createMemoryEffectLedger({
      clock: { nowMs: () => EPOCH_MS + plan.skewMs + Math.floor(time.nowMs()) },
    }),
    blows,
    trace,
    note,
    isLedgerDown: () => time.nowMs() < ledgerBackAtMs,
    strike(blow, process) {
      note(process.name, `${blow.point}: ${toWords(blow)}`);
      world.struck.push(`${blow.kind} ${blow.point}`);
      if (blow.kind === 'outage') ledgerBackAtMs = time.nowMs() + blow.forMs;
      else carryOut(world, blow, process);
    },
    hookOf: (process) => (point: CrashPoint) => pass(world, process, point),
    struck: [],
    surprises: [],
    hands: NO_HANDS,
    count: { deaths: 0, sends: 0, permits: 0, triedForMs: 0 },
  };
  return world;
}

const NO_HANDS: Hands = {
  restart: () => undefined,
  others: () => [],
  reset: () => undefined,
  terminate: () => undefined,
  control: () => undefined,
};

function toWords({ kind, lands, forMs, isForAll, point }: Blow): string {
  const commit = point.endsWith('-commit')
    ? lands
      ? ' (the commit lands)'
      : ' (the commit is lost)'
    : '';
  const seconds = `for ${(forMs / 1_000).toFixed(1)} s`;
  return `${kind}${isForAll ? ' all' : ''} ${seconds}${commit}`;
}

function carryOut(world: World, blow: Blow, process: SimProcess): void {
  const { hands, time, count } = world;
  switch (blow.kind) {
    case 'die':
      for (const each of blow.isForAll ? [process, ...hands.others(process)] : [process]) {
        if (!each.isAlive()) continue;
        count.deaths += 1;
        each.die();
        hands.restart(each, blow.forMs);
      }
      return;
    case 'freeze':
      return process.freeze(blow.forMs);
    case 'reset':
      return hands.reset();
    case 'terminate':
      return hands.terminate();
    case 'pause':
      hands.control({ paused: true });
      return time.after(blow.forMs, () => hands.control({ paused: false }));
    case 'cancel':
      return hands.control({ cancelled: true });
    case 'outage':
      return;
  }
}

/** A process passes a point; it may be the last thing it does, or the last for a while. */
function pass(world: World, process: SimProcess, point: Point): Promise<void> | void {
  world.note(process.name, point);
  for (const blow of world.blows.take(point)) world.strike(blow, process);
  if (!process.isWell()) return process.isBack();
}
