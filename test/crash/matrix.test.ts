// The crash matrix: a slice of its cells, other ones each day; workers die at every point and the receivers' logs decide.
// PAWL_CRASH_FULL=1: every cell. PAWL_CRASH_SLICE=n: so many, chosen by PAWL_CRASH_SEED (printed). `npm run crash` is the command.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Contract } from '../../domain/rules/contract.ts';
import { guarantee } from '../guarantee.ts';
import type { GuaranteeId } from '../guarantees.ts';
import { type Cell, cellOf, nameOf, playable, sliceOf } from './matrix/cells.ts';
import { describe as toLine, type Verdict } from './matrix/judge.ts';
import { type MatrixWorld, openMatrixWorld } from './matrix/matrix-world.ts';
import { predict } from './matrix/predict.ts';
import { REGRESSIONS } from './matrix/regressions.ts';
import { runMatrix } from './matrix/run-matrix.ts';

const DEFAULT_SLICE = 12;
const isFull = process.env['PAWL_CRASH_FULL'] === '1';
const seed = Number(process.env['PAWL_CRASH_SEED'] ?? Date.now() % 1_000_000);
const count = Number(process.env['PAWL_CRASH_SLICE'] ?? DEFAULT_SLICE);
const TEST_MS = isFull ? 7_200_000 : 600_000;

/** What needs the reconciler, or a key that grows old, takes longer: it is for the long form. */
const isQuick = ({ point, mode }: Cell): boolean => point !== 14 && !mode.startsWith('key-expired');
const EXPIRED = ['keyed 6 key-expired', 'keyed 6 key-expired-asked'];

const cells = isFull
  ? playable()
  : distinct([
      ...[...EXPIRED, ...REGRESSIONS].map(cellOf),
      ...sliceOf(playable().filter(isQuick), seed, count),
    ]);

function distinct(all: readonly Cell[]): Cell[] {
  return [...new Map(all.map((cell) => [nameOf(cell), cell])).values()];
}

const IDS: Readonly<Record<Contract, readonly GuaranteeId[]>> = {
  read: ['S2-02'],
  transactional: ['S2-02', 'law-05-write-ahead'],
  keyed: ['F-01', 'S2-02', 'law-05-write-ahead'],
  reconcilable: ['F-34', 'S2-02', 'law-05-write-ahead'],
  once: ['F-05', 'S2-02', 'law-05-write-ahead'],
};

function idsOf({ contract, mode }: Cell): readonly GuaranteeId[] {
  return mode.startsWith('key-expired') ? ['F-02', ...IDS[contract]] : IDS[contract];
}

let world: MatrixWorld;
let verdicts: Promise<readonly Verdict[]>;

beforeAll(async () => {
  const what = isFull ? 'every cell' : `PAWL_CRASH_SEED=${seed} PAWL_CRASH_SLICE=${count}`;
  process.stderr.write(`crash matrix: ${what}, ${cells.length} cells\n`);
  world = await openMatrixWorld();
  const onTrouble = (_: readonly Cell[], error: unknown): never => {
    throw error;
  };
  verdicts = runMatrix(world, { cells, width: 3, onTrouble });
  // The tests report it; it must not end the process before them.
  verdicts.catch(() => undefined);
}, 180_000);
afterAll(() => world.close());

describe('a worker dies', () => {
  for (const cell of cells) {
    const ends = predict(cell).map(({ end, receipts }) => `${end} with ${receipts}`);
    guarantee(
      idsOf(cell),
      `${nameOf(cell)} → ${[...new Set(ends)].join(' or ')} receipts`,
      async () => {
        const verdict = (await verdicts).find(({ played }) => played.cell === cell);
        expect(verdict?.violations.map(() => toLine(verdict)) ?? ['was not played']).toEqual([]);
      },
      TEST_MS,
    );
  }

  guarantee(
    ['F-02', 'S2-01'],
    'the key has grown old at the receiver → played, and no second receipt',
    async () => {
      const old = (await verdicts).filter(({ played }) => EXPIRED.includes(nameOf(played.cell)));
      expect(old).toHaveLength(EXPIRED.length);
      expect(old.flatMap(({ violations }) => violations)).toEqual([]);
    },
    TEST_MS,
  );

  guarantee(
    ['S2-02'],
    'faults of the receiver are part of every run of the tests → each contract was played with some',
    async () => {
      const faulty = (await verdicts).filter(({ played }) => played.cell.mode !== 'ok');
      const contracts = new Set(faulty.map(({ played }) => played.cell.contract));
      expect(contracts.size).toBeGreaterThanOrEqual(4);
    },
    TEST_MS,
  );

  it(
    'the points → at least three of four cells were struck exactly there',
    async () => {
      const struck = (await verdicts).filter(({ played }) => played.missed === 0);
      expect(struck.length).toBeGreaterThanOrEqual(cells.length * 0.75);
    },
    TEST_MS,
  );
});
