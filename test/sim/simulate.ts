// The crash matrix in one process: cell after cell under a seeded schedule, until enough processes have died.
import { CrashPoint } from '../../activities/effects/crash-points.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import { allCells, type Cell, dice, type Fault, FAULTS, nameOf, type Point } from './cells.ts';
import { checkRun, type Verdict } from './check-run.ts';
import { runCell, type Ran } from './run-cell.ts';

export interface SimulateOptions {
  readonly seed: number;
  /** Ends when so many processes have died. */
  readonly crashes: number;
  /** @default all, with the faults that the seed chooses */
  readonly cells?: readonly Cell[];
}

export interface Violation {
  readonly cell: string;
  readonly seed: number;
  readonly what: readonly string[];
  readonly trace: string;
}

export interface SimulationReport {
  readonly seed: number;
  readonly runs: number;
  readonly crashes: number;
  readonly duplicated: number;
  readonly lost: number;
  /** Runs that ended in doubt, and those of them whose prediction was exactly that, or allowed it. */
  readonly inDoubt: number;
  readonly predicted: { readonly mustDoubt: number; readonly mayDoubt: number };
  /** Runs that ended with an applied effect. */
  readonly succeeded: number;
  readonly violations: readonly Violation[];
  /** How often each blow struck, each mode ran, each edge of the states was passed. */
  readonly reached: Readonly<Record<string, number>>;
}

const VIOLATIONS_MAX = 20;

/** Same seed, same report. */
export async function simulate({
  seed,
  crashes,
  cells,
}: SimulateOptions): Promise<SimulationReport> {
  const random = seededRandom(seed);
  const tally = createTally(seed);
  const { report } = tally;
  const isDone = (): boolean =>
    report.crashes >= crashes || report.violations.length >= VIOLATIONS_MAX;
  for (let before = -1; before < report.crashes && !isDone();) {
    before = report.crashes;
    for (const cell of shuffled(cells ?? allCells(), random)) {
      // The points that few runs pass are tried more often.
      for (let times = RARE.includes(cell.point) && !cells ? 3 : 1; times > 0; times -= 1) {
        if (isDone()) return report;
        await play(tally, cells ? cell : variedBy(cell, random), dice(random, 2 ** 31));
      }
    }
  }
  return report;
}

/** One run with its verdict; a failing one comes with its trace. */
export async function play(tally: Tally, cell: Cell, seed: number): Promise<void> {
  const ran = await runCell(cell, seed);
  tally.add(ran, await checkRun(ran));
}

/** How one cell with one seed goes, for a repeat by hand. */
export async function replay(
  cell: Cell,
  seed: number,
): Promise<{ readonly verdict: Verdict; readonly trace: string }> {
  const ran = await runCell(cell, seed);
  return { verdict: await checkRun(ran), trace: ran.world.trace.join('\n') };
}

const RARE: readonly Point[] = [CrashPoint.LeaseWait, CrashPoint.BeforeDoubt];
/** Nearly half of the runs are of one blow and sharply predicted; the others mix in everything else. */
const SHARE_OF_PLAIN = 0.45;
const SHARE_OF_STORMS = 0.2;
/** Most receivers work most of the time. */
const SHARE_OF_OK = 0.1;
const OTHERS = FAULTS.filter((fault) => fault !== 'none' && fault !== 'storm');

function variedBy(cell: Cell, random: () => number): Cell {
  const mode = random() < SHARE_OF_OK ? 'ok' : cell.mode;
  // Only attempts that meet each other wait.
  const isMeeting = cell.point === CrashPoint.LeaseWait && random() < 0.7;
  return { ...cell, mode, fault: isMeeting ? 'duplicate' : faultOf(random()) };
}

function faultOf(share: number): Fault {
  if (share < SHARE_OF_PLAIN) return 'none';
  if (share < SHARE_OF_PLAIN + SHARE_OF_STORMS) return 'storm';
  const rest = (share - SHARE_OF_PLAIN - SHARE_OF_STORMS) / (1 - SHARE_OF_PLAIN - SHARE_OF_STORMS);
  return OTHERS[Math.floor(rest * OTHERS.length)] ?? 'none';
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };
interface Tally {
  readonly report: SimulationReport;
  add(ran: Ran, verdict: Verdict): void;
}

export function createTally(seed: number): Tally {
  const violations: Violation[] = [];
  const reached: Record<string, number> = {};
  const predicted = { mustDoubt: 0, mayDoubt: 0 };
  const report: Writable<SimulationReport> = {
    seed,
    runs: 0,
    crashes: 0,
    duplicated: 0,
    lost: 0,
    inDoubt: 0,
    predicted,
    succeeded: 0,
    violations,
    reached,
  };
  const reach = (what: string): void => {
    reached[what] = (reached[what] ?? 0) + 1;
  };
  return {
    report,
    add({ plan, world }, verdict) {
      const { contract, mode, fault } = plan.cell;
      report.runs += 1;
      report.crashes += world.count.deaths;
      if (verdict.duplicated) report.duplicated += 1;
      if (verdict.lost) report.lost += 1;
      if (verdict.end === 'applied') report.succeeded += 1;
      if (verdict.end === 'in_doubt') report.inDoubt += 1;
      if (verdict.allowed.includes('in_doubt')) {
        if (verdict.allowed.length === 1) predicted.mustDoubt += 1;
        else if (verdict.end === 'in_doubt') predicted.mayDoubt += 1;
      }
      for (const blow of world.struck) reach(blow);
      for (const edge of verdict.edges) reach(edge);
      for (const what of [`contract ${contract}`, `mode ${mode}`, `fault ${fault}`]) reach(what);
      reach(`${contract} ends ${verdict.end}`);
      if (verdict.violations.length === 0) return;
      const trace = world.trace.join('\n');
      violations.push({
        cell: nameOf(plan.cell),
        seed: plan.seed,
        what: verdict.violations,
        trace,
      });
    },
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const ranked = items.map((item) => ({ item, rank: random() }));
  return ranked.sort((one, other) => one.rank - other.rank).map(({ item }) => item);
}
