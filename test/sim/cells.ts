// The matrix as data: contract, point of the blow, what the receiver does, what else goes wrong; and a plan from a seed.
import { CrashPoint } from '../../activities/effects/crash-points.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import { Contract } from '../../domain/rules/contract.ts';

/**
 * The receiver's ways with the first write (`reject`: with every write; `key-expired`: nobody is there for days;
 * `asks-first`: the tool looks before it sends, and refuses what it finds done).
 */
export const MODES = [
  'ok',
  'slow',
  'reject',
  'reject-once',
  '500-before',
  '500-after',
  'timeout-before',
  'timeout-after',
  'reset-before',
  'reset-mid-body',
  '409-in-flight',
  '429',
  'no-connection',
  'asks-first',
  'probe-fails',
  'key-expired',
] as const;
export type Mode = (typeof MODES)[number];

/** What happens at the point: the process dies (`none`: nothing else), freezes, loses its ledger … */
export const FAULTS = [
  'none',
  'zombie',
  'outage',
  'reset',
  'duplicate',
  'terminate',
  'pause',
  'cancel',
  'human',
  'storm',
] as const;
export type Fault = (typeof FAULTS)[number];

/** A named point, or whatever a process is doing when its n-th message arrives. */
export type Point = CrashPoint | 'anywhere';

export interface Cell {
  readonly contract: Contract;
  readonly point: Point;
  readonly mode: Mode;
  readonly fault: Fault;
}

export type BlowKind = 'die' | 'freeze' | 'outage' | 'reset' | 'terminate' | 'pause' | 'cancel';

/** Something bad at the n-th passage of a point. */
export interface Blow {
  readonly point: Point;
  readonly nth: number;
  readonly kind: BlowKind;
  /** Of a commit on the wire: it reaches the ledger, and only its answer is lost. */
  readonly lands: boolean;
  /** How long nobody is there, or it is frozen, or the ledger is down. */
  readonly forMs: number;
  /** Every process, not only the one that passes. */
  readonly isForAll: boolean;
}

/** All that the seed decides before anything runs. */
export interface Plan {
  readonly cell: Cell;
  readonly seed: number;
  readonly blows: readonly Blow[];
  readonly processes: number;
  /** The share of tasks that the server delivers twice. */
  readonly duplicates: number;
  /** The share of ledger calls whose connection breaks, before or after they are done. */
  readonly blips: number;
  readonly hasHuman: boolean;
  /** Containers: every process is number 1. */
  readonly isPidShared: boolean;
  /** A process that was frozen sees it by its own clock; else the next line of code comes first. */
  readonly noticesSleep: boolean;
  /** The database's clock against all others. */
  readonly skewMs: number;
  /** Where the mode leaves it open: the receiver does the first write. */
  readonly doesFirst: boolean;
}

export const KEY_RETENTION_MS = 86_400_000;
const MODEL_POINTS = /model/;
const POINTS: readonly CrashPoint[] = Object.values(CrashPoint).filter(
  (point) => !MODEL_POINTS.test(point),
);
const WIRE_POINTS: readonly Point[] = [
  CrashPoint.DispatchCommit,
  CrashPoint.MidRequest,
  CrashPoint.AfterSend,
];
const PROBE_POINTS: readonly Point[] = [CrashPoint.BeforeProbe, CrashPoint.AfterProbe];
const WAIT_POINTS: readonly Point[] = [CrashPoint.LeaseWait, CrashPoint.BeforeDoubt];
/** A read leaves nothing in the ledger: it passes none of the points. */
const POINTS_OF_READS: readonly Point[] = ['anywhere'];

/** The points that effects of the contract pass. */
export function pointsOf(contract: Contract): readonly Point[] {
  const all: readonly Point[] = [...POINTS, 'anywhere'];
  switch (contract) {
    case 'read':
      return POINTS_OF_READS;
    case 'transactional':
      return all.filter(
        (point) => ![...WIRE_POINTS, ...PROBE_POINTS, ...WAIT_POINTS].includes(point),
      );
    case 'reconcilable':
      return all;
    case 'keyed':
    case 'once':
      return all.filter((point) => !PROBE_POINTS.includes(point));
  }
}

function modesOf(contract: Contract): readonly Mode[] {
  return MODES.filter((mode) => {
    if (mode === 'probe-fails') return contract === 'reconcilable';
    if (mode === 'key-expired') return contract === 'keyed';
    if (mode === 'asks-first') return contract !== 'read' && contract !== 'transactional';
    return true;
  });
}

/** Contract by point by mode; the fault is the seed's choice, or the caller's. */
export function allCells(fault: Fault = 'none'): Cell[] {
  return Object.values(Contract).flatMap((contract) =>
    pointsOf(contract).flatMap((point) =>
      modesOf(contract).map((mode) => ({ contract, point, mode, fault })),
    ),
  );
}

/** As in `keyed dispatch-commit timeout-after zombie`. */
export function nameOf({ contract, point, mode, fault }: Cell): string {
  return `${contract} ${point} ${mode} ${fault}`;
}

/** The cell of a name. Throws a `TypeError` for one that is none. */
export function cellOf(name: string): Cell {
  const [contract, point, mode, fault = 'none'] = name.split(' ');
  const known = allCells(fault as Fault).find(
    (cell) => nameOf(cell) === `${contract} ${point} ${mode} ${fault}`,
  );
  if (!known || !FAULTS.includes(fault as Fault)) throw new TypeError(`No cell: ${name}`);
  return known;
}

const KINDS: Readonly<Record<Fault, BlowKind>> = {
  none: 'die',
  zombie: 'freeze',
  outage: 'outage',
  reset: 'die',
  duplicate: 'die',
  terminate: 'terminate',
  pause: 'pause',
  cancel: 'cancel',
  human: 'die',
  storm: 'die',
};

/** Everything that happens in one run, but for the order of things. */
export function planOf(cell: Cell, seed: number): Plan {
  const random = seededRandom(seed);
  const isStorm = cell.fault === 'storm';
  return {
    cell,
    seed,
    blows: [...blowsOf(cell, random), ...(isStorm ? stormOf(cell, random) : [])],
    processes: random() < 0.5 ? 2 : 3,
    duplicates: cell.fault === 'duplicate' ? 0.7 : isStorm ? 0.15 : 0,
    blips: isStorm ? random() * 0.08 : 0,
    hasHuman: cell.fault === 'human' || (isStorm && random() < 0.3),
    isPidShared: random() < 0.3,
    noticesSleep: random() < 0.4,
    skewMs: Math.round((random() - 0.5) * 7_200_000),
    doesFirst: random() < 0.5,
  };
}

const AWAY_MS = [0.5, 0.85, 0.95, 1.5].map((share) => share * KEY_RETENTION_MS);

function blowsOf(cell: Cell, random: () => number): Blow[] {
  const main: Blow = {
    ...blowAt(cell.point, KINDS[cell.fault], random),
    nth: cell.point === 'anywhere' ? dice(random, 25) : random() < 0.85 ? 1 : 2,
  };
  if (cell.mode === 'key-expired') {
    const forMs = AWAY_MS[dice(random, AWAY_MS.length) - 1] ?? 0;
    return [{ ...main, kind: 'die', nth: 1, forMs, isForAll: true }];
  }
  if (cell.fault === 'reset') return [main, { ...main, kind: 'reset' }];
  if (cell.fault === 'zombie' && PROBE_POINTS.includes(cell.point))
    return zombieProbes(main, random);
  // Terminated, stopped or cut off, and the process dies as well, there or a little later.
  const dies = cell.fault === 'terminate' || (cell.fault === 'outage' && random() < 0.5);
  return dies ? [main, blowAt(random() < 0.5 ? cell.point : 'anywhere', 'die', random)] : [main];
}

/** Two look, freeze, and report when the next send is under way, whose answer is lost. */
function zombieProbes(main: Blow, random: () => number): Blow[] {
  const lost = random() < 0.5 ? CrashPoint.AfterSend : CrashPoint.MidRequest;
  const forMs = 10_000 + random() * 30_000;
  return [
    { ...main, nth: 1, forMs },
    { ...main, nth: 2, forMs: forMs + random() * 3_000 },
    { ...blowAt(lost, 'die', random), nth: dice(random, 2), isForAll: false },
  ];
}

const STORM: readonly BlowKind[] = [
  'die', 'die', 'die', 'die', 'freeze', 'freeze', 'freeze', 'outage', 'reset', 'pause',
]; // prettier-ignore

function stormOf({ contract }: Cell, random: () => number): Blow[] {
  const points = pointsOf(contract);
  const ends = random();
  const blows = Array.from({ length: 2 + dice(random, 4) }, () => {
    const point = points[dice(random, points.length) - 1] ?? 'anywhere';
    return blowAt(point, STORM[dice(random, STORM.length) - 1] ?? 'die', random);
  });
  if (ends < 0.1) blows.push(blowAt('anywhere', 'terminate', random));
  else if (ends < 0.2) blows.push(blowAt('anywhere', 'cancel', random));
  return blows;
}

function blowAt(point: Point, kind: BlowKind, random: () => number): Blow {
  return {
    point,
    nth: point === 'anywhere' ? dice(random, 40) : dice(random, 2),
    kind,
    lands: random() < 0.5,
    forMs: durationOf(kind, random),
    isForAll: kind === 'die' && random() < 0.1,
  };
}

/** From shorter than a lease to long after every time-out. */
function durationOf(kind: BlowKind, random: () => number): number {
  const share = random() ** 2;
  switch (kind) {
    case 'freeze':
      return 500 + share * 90_000;
    case 'outage':
      return 100 + share * 60_000;
    case 'pause':
      return 1_000 + share * 300_000;
    case 'die':
    case 'reset':
    case 'terminate':
    case 'cancel':
      return 50 + share * 20_000;
  }
}

/** From 1 to `sides`. */
export function dice(random: () => number, sides: number): number {
  return 1 + Math.floor(random() * sides);
}
