// The crash matrix as data: nothing is left out without a reason, and what may come of a cell agrees with the promises.
import { describe, expect, it } from '@jest/globals';
import {
  type Cell,
  cellOf,
  CONTRACTS,
  courseOf,
  matrix,
  MODES,
  nameOf,
  playable,
  sliceOf,
} from '../crash/matrix/cells.ts';
import { parseOptions } from '../crash/matrix/options.ts';
import { doubtOf, predict } from '../crash/matrix/predict.ts';
import { squadsOf } from '../crash/matrix/run-matrix.ts';
import { boundOf } from '../crash/matrix/tally.ts';
import { SLOTS } from '../crash/matrix/tools.ts';

const isReached = (cell: Cell): boolean => typeof courseOf(cell) !== 'string';

describe('the cells', () => {
  it('17 points, 5 contracts, 10 modes → 850, each played or with a reason', () => {
    const cells = matrix();
    expect(cells).toHaveLength(850);
    expect(new Set(cells.map(nameOf)).size).toBe(850);
    const reasons = cells.map(courseOf).filter((course) => typeof course === 'string');
    expect(reasons.every((reason) => reason.length > 20)).toBe(true);
    expect(cells.filter(isReached).length + reasons.length).toBe(850);
    expect(cells.filter(isReached).length).toBe(601);
  });

  it('every point and every mode → played with some contract', () => {
    const reached = matrix().filter(isReached);
    expect(new Set(reached.map(({ point }) => point)).size).toBe(17);
    for (const contract of CONTRACTS) {
      const own = reached.filter((cell) => cell.contract === contract);
      expect(new Set(own.map(({ mode }) => mode)).size).toBe(MODES.length);
    }
  });

  it('names → the cell again, or why not', () => {
    for (const cell of playable()) expect(cellOf(nameOf(cell))).toEqual(cell);
    expect(() => cellOf('read 12 ok')).toThrow('cannot be reached: a read is repeated');
    expect(() => cellOf('keyed 17 ok')).toThrow('is no cell');
  });

  it('one seed → one slice, all contracts in turn', () => {
    const slice = sliceOf(playable(), 7, 25);
    expect(slice).toEqual(sliceOf(playable(), 7, 25));
    expect(slice).not.toEqual(sliceOf(playable(), 8, 25));
    for (const contract of CONTRACTS) {
      expect(slice.filter((cell) => cell.contract === contract)).toHaveLength(5);
    }
  });

  it('squads → everybody once, and at most one in each that kills the process', () => {
    const squads = squadsOf(playable());
    expect(squads.flat().map(nameOf).sort()).toEqual(playable().map(nameOf).sort());
    for (const squad of squads) {
      expect(squad.length).toBeLessThanOrEqual(SLOTS);
      const sharp = squad.filter((cell) => {
        const course = courseOf(cell);
        return typeof course !== 'string' && course.blows.some(({ isSharp }) => isSharp);
      });
      expect(sharp.length).toBeLessThanOrEqual(1);
    }
  });
});

describe('what may come of a cell', () => {
  it('read, transactional and reconcilable → never in doubt', () => {
    const certain = playable().filter(({ contract }) =>
      ['read', 'transactional', 'reconcilable'].includes(contract),
    );
    expect(certain.filter((cell) => doubtOf(predict(cell)) !== 'never')).toEqual([]);
  });

  it('keyed → in doubt behind the horizon and with a sticky 5xx only', () => {
    const doubtful = playable().filter(
      (cell) => cell.contract === 'keyed' && doubtOf(predict(cell)) !== 'never',
    );
    expect(new Set(doubtful.map(({ mode }) => mode))).toEqual(
      new Set(['500-after', 'key-expired']),
    );
  });

  it('once with a receiver that answers → in doubt exactly when it died at 3 to 8, or waiting behind them', () => {
    const points = playable()
      .filter(({ contract, mode }) => contract === 'once' && mode === 'ok')
      .filter((cell) => doubtOf(predict(cell)) !== 'never')
      .map(({ point }) => point);
    expect(points).toEqual([3, 4, 5, 6, 7, 8, 15, 16]);
  });

  it('any cell → at most one receipt', () => {
    const most = playable().flatMap((cell) => predict(cell).map(({ receipts }) => receipts));
    expect(Math.max(...most)).toBe(1);
  });
});

describe('the command line of npm run crash', () => {
  it('nothing → everything, with a seed', () => {
    const options = parseOptions([]);
    expect(options).toMatchObject({ cells: undefined, only: undefined, json: false, width: 4 });
    expect(options.seed).toBeGreaterThan(0);
  });

  it.each([
    [['--only', 'both'], 'say real or sim'],
    [['--cells', '0'], 'give a whole number from 1'],
    [['--seed', 'x'], 'give a whole number from 1'],
    [['--only', 'sim', '--cell', 'once settle-commit ok none'], 'needs the --seed'],
    [['--only', 'real', '--crashes', '5'], 'leave --only real away'],
    [['--what'], "Unknown option '--what'"],
  ])('%j → %s', (argv, message) => {
    expect(() => parseOptions(argv)).toThrow(message);
  });

  it('no failure in n → 3/n', () => {
    expect(boundOf(0, 10_000)).toContain('0 of 10,000: at 95 %, fewer than 3.0e-4');
    expect(boundOf(2, 10_000)).toBe('2 of 10,000');
  });
});
