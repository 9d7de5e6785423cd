// The crash matrix as data: 17 points, 5 contracts, 10 ways of a receiver; what is reached how, and why the rest is not.
import { CrashPoint } from '../../../activities/effects/crash-points.ts';
import { seededRandom } from '../../../devstack/contrast/plan.ts';
import { Contract } from '../../../domain/rules/contract.ts';
import { ABSENT, ALL_POINTS, HOOKS, type Point } from './points.ts';

/** What the receiver makes of the first request; `reject-before` and `500-after` of every one. */
export const MODES = [
  'ok',
  'slow',
  'reject-before',
  '500-before',
  '500-after',
  'timeout-before',
  'timeout-after',
  'reset-mid-body',
  '409-in-flight',
  '429',
] as const;
/** Beyond the matrix: the key's retention passes while nobody is there; `-asked`: the receiver has a look-up, too. */
export const EXPIRIES = ['key-expired', 'key-expired-asked'] as const;
export type Mode = (typeof MODES)[number] | (typeof EXPIRIES)[number];

export interface Cell {
  readonly contract: Contract;
  readonly point: Point;
  readonly mode: Mode;
}

/** One death: at the `nth` passage of the hook. */
export interface Blow {
  readonly hook: CrashPoint;
  readonly nth: number;
  /** The process kills itself there; otherwise it stands still there until it is killed from outside. */
  readonly isSharp?: true;
  /** What must have happened at the receiver before it is killed from outside. */
  readonly until?: 'received' | 'applied';
}

/** How a cell is carried out: which tool, and who dies where, one process after the other. */
export interface Course {
  readonly blows: readonly [Blow, ...Blow[]];
  readonly variant: Variant;
  /** Whether the first blow needs more than one request, or a time-out, to be reached. */
  readonly isLate: boolean;
}

/** `few`: three sends; `last`: two, with a lease that outlives the server's patience, as has `patient`. */
export type Variant = 'plain' | 'few' | 'patient' | 'last' | 'brief' | 'brief-asked';

export const CONTRACTS = Object.values(Contract);

/** The whole matrix: every combination, reached or not. */
export function matrix(): Cell[] {
  return CONTRACTS.flatMap((contract) =>
    ALL_POINTS.flatMap((point) => MODES.map((mode) => ({ contract, point, mode }))),
  );
}

/** The cells that can be played, those of expired keys included. */
export function playable(): Cell[] {
  return [...matrix(), ...expiries()].filter((cell) => typeof courseOf(cell) !== 'string');
}

function expiries(): Cell[] {
  const points: readonly Point[] = [4, 6, 7, 8, 16];
  return EXPIRIES.flatMap((mode) =>
    points.map((point): Cell => ({ contract: Contract.Keyed, point, mode })),
  );
}

/** As in `keyed 8 timeout-after`. */
export function nameOf({ contract, point, mode }: Cell): string {
  return `${contract} ${point} ${mode}`;
}

/** The cell of a name. Throws a `TypeError` that says why it is none. */
export function cellOf(name: string): Cell {
  const known = [...matrix(), ...expiries()].find((cell) => nameOf(cell) === name.trim());
  if (!known) throw new TypeError(`"${name}" is no cell: write one as in "keyed 8 timeout-after"`);
  const course = courseOf(known);
  if (typeof course === 'string') throw new TypeError(`"${name}" cannot be reached: ${course}`);
  return known;
}

/** The first request is done by the receiver, whatever becomes of its answer. */
export function isFirstApplied(mode: Mode): boolean {
  return !['reject-before', '500-before', 'timeout-before', '409-in-flight', '429'].includes(mode);
}

const isExpiry = (mode: Mode): boolean => mode.startsWith('key-expired');

/** How to play a cell, or why no process can ever stand there. */
export function courseOf(cell: Cell): Course | string {
  const { contract, point, mode } = cell;
  const absent = ABSENT[contract]?.[point];
  if (absent !== undefined) return absent;
  const blows = blowsOf(cell);
  if (typeof blows === 'string') return blows;
  const isFirstTry = point <= 4 || (point === 5 && contract !== 'transactional') || point >= 12;
  const isLate = !isFirstTry && (blows[0].nth > 1 || mode !== 'ok' || contract === 'reconcilable');
  return { blows, variant: variantOf(cell), isLate };
}

function variantOf({ contract, point, mode }: Cell): Variant {
  if (mode === 'key-expired-asked') return 'brief-asked';
  if (mode === 'key-expired') return 'brief';
  if (point === 15) return contract === 'keyed' ? 'last' : 'patient';
  return mode === '500-after' ? 'few' : 'plain';
}

type Blows = readonly [Blow, ...Blow[]];
const ON_THE_WIRE: Blow = { hook: CrashPoint.MidRequest, nth: 1, until: 'received' };

function blowsOf(cell: Cell): Blows | string {
  const { contract, point } = cell;
  const blow: Blow = { hook: HOOKS[point], nth: 1 };
  switch (point) {
    case 0:
      return [blow, blow];
    case 2:
      return [blow, { hook: CrashPoint.BeforeDispatch, nth: 1 }];
    case 4:
      return contract === 'once' || isExpiry(cell.mode) ? [blow] : [blow, blow];
    case 5:
      return midRequest(cell, { ...blow, isSharp: true });
    case 6:
      return responseLost(cell, blow);
    case 7:
      return responseInMemory(cell, blow);
    case 9:
      return contract === 'transactional' ? outcomeAcked(cell, blow) : [blow];
    case 11:
      return [{ ...blow, isSharp: true }];
    case 12:
    case 13:
      return [ON_THE_WIRE, blow];
    case 15:
    case 16:
      return silence(cell, blow);
    case 1:
    case 3:
    case 8:
    case 10:
    case 14:
      return [blow];
  }
}

function midRequest({ contract }: Cell, sharp: Blow): Blows {
  if (contract === 'keyed' || contract === 'read') return [sharp, ON_THE_WIRE];
  return [sharp];
}

function responseLost({ contract, mode }: Cell, blow: Blow): Blows | string {
  if (contract === 'read') return [ON_THE_WIRE, ON_THE_WIRE];
  if (mode === 'reject-before')
    return 'the receiver does nothing: there is nothing whose answer could be lost';
  if (contract === 'transactional') {
    return mode === '500-after'
      ? 'the statement ends in an error each time: its rows never stand'
      : [{ hook: CrashPoint.AfterSend, nth: 1 }];
  }
  if (isFirstApplied(mode)) return [{ ...blow, until: 'applied' }];
  if (contract === 'once') return 'the first request is not done, and no second one is sent';
  return [{ ...blow, nth: 2, until: 'applied' }];
}

/** Two ways to an end pass no acknowledgement of the transaction's own commit. */
function outcomeAcked({ mode }: Cell, blow: Blow): Blows | string {
  switch (mode) {
    case '500-after':
      return 'its rows are never committed, and its end is a withdrawal, which passes 8 and 10';
    case 'timeout-after':
      return 'the answer to the commit is lost: the next look finds the outcome, and passes 10';
    default:
      return [blow];
  }
}

function responseInMemory({ contract, mode }: Cell, blow: Blow): Blows | string {
  // A read has no hook of the engine here: its tool brings one.
  if (contract === 'read') return readAnswered();
  return contract === 'keyed' && !isExpiry(mode) ? [blow, blow] : [blow];
}

function readAnswered(): Blows {
  const answered: Blow = { hook: CrashPoint.AfterSend, nth: 1 };
  return [answered, answered];
}

function silence({ contract, point, mode }: Cell, blow: Blow): Blows | string {
  if (contract !== 'keyed') return [ON_THE_WIRE, blow];
  if (isExpiry(mode)) {
    return mode === 'key-expired'
      ? [{ ...ON_THE_WIRE, until: 'applied' }, blow]
      : 'its silence is asked about: the look-up answers';
  }
  if (mode !== '500-after') return 'a keyed effect is sent again, at once, until it has an answer';
  // The last send that is allowed: nothing is left but to wait for its lease, and then to conclude.
  return point === 15 ? [{ hook: CrashPoint.AfterSend, nth: 2 }, blow] : [blow];
}

/** `count` of the cells in the order of the seed, every contract in turn. */
export function sliceOf(cells: readonly Cell[], seed: number, count: number): Cell[] {
  const random = seededRandom(seed);
  const ranked = cells
    .map((cell) => ({ cell, rank: random() }))
    .sort((one, other) => one.rank - other.rank);
  const own = CONTRACTS.map((contract) =>
    ranked.flatMap(({ cell }) => (cell.contract === contract ? [cell] : [])),
  );
  return ranked.flatMap((_, at) => own.flatMap((cells) => cells[at] ?? [])).slice(0, count);
}
