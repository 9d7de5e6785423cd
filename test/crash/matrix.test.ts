// The crash matrix: workers die at every point around an effect, for every contract; the bank's receipts are the truth.
// PAWL_CRASH_FULL=1: every cell. PAWL_CRASH_SLICE=n: so many, chosen by PAWL_CRASH_SEED (printed when it is not set).
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import {
  allCells,
  type Cell,
  type FirstAnswer,
  nameOf,
  predict,
  sliceOf,
} from './fixtures/cells.ts';
import { createLane } from './fixtures/lane.ts';
import { createPayments, expectSameRequest, payment } from './fixtures/payments.ts';
import { createWorld, eventually, type World, writesFor } from './fixtures/world.ts';

const TEST_MS = 900_000;
const DEFAULT_SLICE = 12;
const seed = Number(process.env['PAWL_CRASH_SEED'] ?? Date.now() % 1_000_000);
const isFull = process.env['PAWL_CRASH_FULL'] === '1';
const count = Number(process.env['PAWL_CRASH_SLICE'] ?? DEFAULT_SLICE);
const cells = isFull ? allCells() : sliceOf(allCells(), seed, count);

const lane = createLane(5);
let world: World;
const { dieAt, receiptsOf } = createPayments(() => world);

beforeAll(async () => {
  const what = isFull ? 'every cell' : `PAWL_CRASH_SEED=${seed} PAWL_CRASH_SLICE=${cells.length}`;
  process.stderr.write(`crash matrix: ${what}\n`);
  world = await createWorld();
  await world.startSurvivor();
  lane.start();
}, 180_000);
afterAll(() => world.close());

const MODES = {
  answered: undefined,
  lost: 'commit-then-reset',
  unheard: 'hang-before-commit',
} as const satisfies Record<FirstAnswer, unknown>;

function arrangeBank({ contract, answer }: Cell, reference: string): void {
  const mode = MODES[answer];
  if (mode) world.bank.addMode(reference, mode, { times: 1 });
  // Whoever declares no key gets a bank that has none.
  if (contract !== 'keyed') world.bank.addMode(reference, 'no-idempotency');
}

async function runCell(cell: Cell) {
  const reference = nameOf(cell).replaceAll(' ', '-');
  arrangeBank(cell, reference);
  const tool = `pay_${cell.contract}`;
  const started = await dieAt(cell.point, tool, payment(reference), reference);
  world.handOver(reference);
  const effect = await eventually(`${reference} is applied or in doubt`, async () => {
    const seen = await world.effectOf(started.runKey);
    return seen && (seen.status === 'applied' || seen.status === 'in_doubt') ? seen : undefined;
  });
  const result: unknown = effect.status === 'applied' ? await started.handle.result() : undefined;
  return {
    effect,
    result,
    receipts: receiptsOf(reference),
    writes: writesFor(world.bank, reference),
  };
}

describe('a worker dies', () => {
  for (const cell of cells) {
    const seen = lane.plan(() => runCell(cell));
    const { status, receipts } = predict(cell);
    guarantee(
      cell.contract === 'keyed' ? ['F-01', 'law-05-write-ahead'] : ['F-05', 'law-05-write-ahead'],
      `${nameOf(cell)} → ${status}, ${[...new Set(receipts)].join(' or ')} receipts`,
      async () => {
        const found = await seen;
        expect(found.effect).toMatchObject({ status, hasConflict: false });
        expect(receipts).toContain(found.receipts.length);
        if (status === 'applied') {
          expect(found.result).toMatchObject({ transferId: found.receipts[0]?.receiptId });
        }
        if (cell.contract === 'once') expect(found.writes.length).toBeLessThanOrEqual(1);
        expectSameRequest(found.writes, found.writes.length);
      },
      TEST_MS,
    );
  }
});
