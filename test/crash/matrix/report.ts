// What `npm run crash` says at its end: the tables, the bound, and for each failure how to repeat it.
import type { SimulationReport } from '../../sim/simulate.ts';
import { courseOf, EXPIRIES, matrix, nameOf, playable } from './cells.ts';
import { describe, type Verdict } from './judge.ts';
import { boundOf, type Figures, renderTally, type Tally, tallyOf } from './tally.ts';

export interface Result {
  readonly seed: number;
  /** False when it was stopped, or a squad could not be played. */
  readonly isComplete: boolean;
  readonly matrix: { readonly cells: number; readonly reachable: number };
  readonly real: RealResult | undefined;
  readonly sim: SimulationReport | undefined;
  readonly crashes: number;
  readonly wrong: number;
  readonly bound: string;
}

export interface RealResult {
  readonly seconds: number;
  readonly cellsPerMinute: number;
  readonly planned: number;
  readonly tally: Tally;
  readonly violations: readonly {
    readonly cell: string;
    readonly what: readonly string[];
    readonly repeat: string;
  }[];
  /** Died, but not at the point: judged by what holds for every point. */
  readonly missed: readonly string[];
  /** Squads that the harness itself could not play. */
  readonly troubles: readonly string[];
}

export function toRealResult(
  verdicts: readonly Verdict[],
  { planned, seconds, troubles }: Pick<RealResult, 'planned' | 'seconds' | 'troubles'>,
): RealResult {
  const wrong = verdicts.filter(({ violations }) => violations.length > 0);
  return {
    ...{ planned, seconds, troubles },
    cellsPerMinute: Math.round((verdicts.length / Math.max(1, seconds)) * 600) / 10,
    tally: tallyOf(verdicts),
    violations: wrong.map((verdict) => ({
      cell: nameOf(verdict.played.cell),
      what: [describe(verdict)],
      repeat: `npm run crash -- --only real --cell "${nameOf(verdict.played.cell)}"`,
    })),
    missed: verdicts
      .filter(({ played }) => played.missed > 0)
      .map(({ played }) => nameOf(played.cell)),
  };
}

interface Parts {
  readonly seed: number;
  readonly isComplete: boolean;
  readonly real: RealResult | undefined;
  readonly sim: SimulationReport | undefined;
}

export function toResult({ seed, isComplete, real, sim }: Parts): Result {
  const crashes = (real?.tally.all.crashes ?? 0) + (sim?.crashes ?? 0);
  const wrong = (real?.violations.length ?? 0) + (sim?.violations.length ?? 0);
  const expired = playable().filter(({ mode }) => EXPIRIES.some((one) => one === mode)).length;
  return {
    ...{ seed, isComplete, real, sim, crashes, wrong },
    matrix: { cells: matrix().length, reachable: playable().length - expired },
    bound: boundOf(wrong, crashes),
  };
}

/** Both halves for a terminal. */
export function render({ real, sim, matrix: all, crashes, bound, seed }: Result): string {
  const parts = [
    `17 points x 5 contracts x 10 modes: ${all.cells} cells, ${all.reachable} can be reached (--list says why not)`,
  ];
  if (real) parts.push('', renderReal(real));
  if (sim) parts.push('', renderSim(sim));
  parts.push('', `${crashes.toLocaleString('en')} crashes, seed ${seed}. Wrong: ${bound}.`);
  return parts.join('\n');
}

function renderReal(real: RealResult): string {
  const { all } = real.tally;
  const lines = [
    `Real processes, SIGKILL: ${all.cells} of ${real.planned} cells in ${real.seconds} s (${real.cellsPerMinute} a minute)`,
    renderTally(real.tally),
  ];
  if (real.missed.length > 0) {
    lines.push(
      `died elsewhere than at their point (${real.missed.length}): ${real.missed.join(', ')}`,
    );
  }
  lines.push(...real.troubles.map((trouble) => `could not be played: ${trouble}`));
  for (const { what, repeat } of real.violations)
    lines.push(`WRONG  ${what.join('; ')}`, `  ${repeat}`);
  return lines.join('\n');
}

function renderSim(sim: SimulationReport): string {
  const { mustDoubt, mayDoubt } = sim.predicted;
  const lines = [
    `One process, seeded schedule: ${sim.runs} runs, ${sim.crashes} crashes; ${sim.succeeded} applied, ` +
      `${sim.duplicated} duplicated, ${sim.lost} lost, in doubt ${mustDoubt} + ${mayDoubt} / ${sim.inDoubt}`,
  ];
  for (const { cell, seed, what } of sim.violations) {
    lines.push(`WRONG  ${cell}, seed ${seed}: ${what.join('; ')}`);
    lines.push(`  npm run crash -- --only sim --cell "${cell}" --seed ${seed}`);
  }
  return lines.join('\n');
}

/** For `--list`: every cell, and where a process can never stand, why. */
export function renderList(): string {
  const lines = matrix().map((cell) => {
    const course = courseOf(cell);
    return typeof course === 'string' ? `- ${nameOf(cell)}: ${course}` : `+ ${nameOf(cell)}`;
  });
  const reached = lines.filter((line) => line.startsWith('+')).length;
  const beyond = playable()
    .slice(reached)
    .map((cell) => `+ ${nameOf(cell)}`);
  const counts = `${lines.length} cells: ${reached} reached, ${lines.length - reached} not`;
  return [...lines, ...beyond, `${counts}; ${beyond.length} beyond the matrix`].join('\n');
}

export type { Figures };
