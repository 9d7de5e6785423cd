// The crash matrix in one process: a slice under another seed each time, every seed that has failed once, and the repeat.
import { beforeAll, describe, expect, it } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import { allCells, cellOf, nameOf, pointsOf } from './cells.ts';
import { regressions } from './regressions.ts';
import { replay, simulate, type SimulationReport } from './simulate.ts';

const DEFAULT_CRASHES = 1_500;
/** From here on every counter has to be well above nothing. */
const LARGE = 10_000;
const seed = Number(process.env['PAWL_SIM_SEED'] ?? Date.now() % 1_000_000);
const crashes = Number(process.env['PAWL_SIM_CRASHES'] ?? DEFAULT_CRASHES);
const TEST_MS = 1_800_000;

/** What a reader needs to see the run again: its cell, its seed, and what happened. */
function describeFailures({ violations }: SimulationReport): string {
  return violations
    .map((found) => `${found.cell} (seed ${found.seed}): ${found.what.join('; ')}\n${found.trace}`)
    .join('\n\n');
}

describe(`a slice of the simulated crash matrix (PAWL_SIM_SEED=${seed} PAWL_SIM_CRASHES=${crashes})`, () => {
  let report: SimulationReport;
  beforeAll(async () => {
    const startedAtMs = performance.now();
    report = await simulate({ seed, crashes });
    const seconds = (performance.now() - startedAtMs) / 1_000;
    const { runs, duplicated, lost, inDoubt, predicted, succeeded, violations } = report;
    process.stderr.write(
      `simulated crash matrix: PAWL_SIM_SEED=${seed}, ${runs} runs, ${report.crashes} crashes ` +
        `(${Math.round(report.crashes / seconds)} a second), ${duplicated} duplicated, ${lost} lost, ` +
        `${inDoubt} in doubt (${predicted.mustDoubt} had to be, ${predicted.mayDoubt} might), ` +
        `${succeeded} applied, ${violations.length} violations\n`,
    );
  }, TEST_MS);

  guarantee(
    ['crash-matrix', 'F-01', 'F-05', 'F-34', 'S2-08', 'law-04-facts', 'law-11-reconciler'],
    'workers die at every point, freeze, lose their ledger and their orders → none duplicated, none lost, each doubt predicted',
    () => {
      expect(describeFailures(report)).toBe('');
      expect(report).toMatchObject({ duplicated: 0, lost: 0 });
      expect(report.crashes).toBeGreaterThanOrEqual(crashes);
    },
  );

  const least = crashes >= LARGE ? 100 : 1;
  it.each(pointsOf('reconcilable').map((point) => [point]))(
    `die %s → at least ${least} times`,
    (point) => expect(report.reached[`die ${point}`] ?? 0).toBeGreaterThanOrEqual(least),
  );

  it('runs that end with an applied effect → at least 60 of 100', () => {
    expect(report.succeeded / report.runs).toBeGreaterThanOrEqual(0.6);
  });
});

describe('a simulated run', () => {
  it.each([
    ['keyed dispatch-commit timeout-after none', 1],
    ['transactional settle-commit slow storm', 2],
    ['reconcilable after-probe reset-mid-body storm', 3],
    ['once anywhere ok duplicate', 4],
    ['read anywhere 500-before storm', 5],
  ])('%s with seed %i, twice → the same, event by event', async (name, again) => {
    const [one, other] = [await replay(cellOf(name), again), await replay(cellOf(name), again)];
    expect(one.trace.split('\n').length).toBeGreaterThan(5);
    expect(other).toEqual(one);
  });

  it('every cell → found by its name', () => {
    const cells = allCells('storm');
    expect(cells.map((cell) => cellOf(nameOf(cell)))).toEqual(cells);
    expect(() => cellOf('once nowhere ok none')).toThrow('No cell: once nowhere ok none');
  });
});

describe('what a simulated run has found once', () => {
  it.each(regressions.map(({ cell, seed: found, why }) => [cell, found, why] as const))(
    '%s, seed %i (%s) → no more',
    async (name, found) => {
      const { verdict, trace } = await replay(cellOf(name), found);
      expect(
        verdict.violations.length > 0 ? `${verdict.violations.join('; ')}\n${trace}` : '',
      ).toBe('');
    },
  );
});
