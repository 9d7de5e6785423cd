// The figures of `npm run bench -- safety`: percentiles, step times, and what its gate lets pass.
import { describe, expect, it } from '@jest/globals';
import { type Measured, perVariant, toReport } from '../../bench/safety/report.ts';
import { percentile, spreadOf, stepTimesMs } from '../../bench/safety/spread.ts';

const NONE = { durable: 0, asynchronous: 0, all: 0, flushes: null };

function measured(change: Partial<Measured> = {}): Measured {
  return {
    settings: {},
    steps: { plain: [[10, 10], [20]], ledger: [[15, 15], [40]], floor: [[12, 12], [20]] },
    engine: perVariant(() => [[1]]),
    crowd: perVariant(() => [1]),
    statements: perVariant(() => 1),
    commits: perVariant(() => ({ ...NONE, durable: 20 })),
    counted: 10,
    receipts: { asked: 1, found: 1, duplicated: [] },
    ...change,
  };
}

describe('percentile', () => {
  it('a hundred values → the nearest rank, whatever their order', () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at);
    expect([0, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 50, 99, 100]);
    expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
  });

  it('no values → RangeError', () => {
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });
});

describe('stepTimesMs', () => {
  it('two activities → from one scheduling to the next, and to the end of the workflow', () => {
    const [SCHEDULED, STARTED, COMPLETED] = [10, 11, 2];
    const at = (eventType: number, seconds: number, nanos = 0) => ({
      eventType,
      eventTime: { seconds: seconds as never, nanos },
    });
    const events = [
      at(1, 0),
      at(SCHEDULED, 1),
      at(STARTED, 2),
      at(SCHEDULED, 3),
      at(COMPLETED, 3, 5e6),
    ];
    expect(stepTimesMs({ events })).toEqual([2_000, 5]);
  });
});

describe('the report', () => {
  it('B against A and C → differences of percentiles over all rounds, ratios by round', () => {
    const { overPlain, overFloor, latency } = toReport(measured()).steps;
    expect(latency.ledger).toMatchObject({ p50Ms: 15, p99Ms: 40, samples: 3 });
    expect(overPlain).toEqual({
      p50Ms: 5,
      p99Ms: 20,
      ratio: 1.5,
      ratios: { min: 1.5, median: 1.5, max: 2 },
    });
    expect(overFloor).toMatchObject({ p50Ms: 3, p99Ms: 20, ratio: 1.25 });
  });

  it('two durable commits and single receipts → no violation', () => {
    expect(toReport(measured()).violations).toEqual([]);
  });

  it('a third durable commit, now and then → named', () => {
    const commits = perVariant(() => ({ ...NONE, durable: 21 }));
    expect(toReport(measured({ commits })).violations).toEqual([
      '2.1 durable commits per effect, more than 2',
    ]);
  });

  it('three durable commits beside the ledger → its own business', () => {
    const commits = { plain: { ...NONE, durable: 30 }, ledger: NONE, floor: NONE };
    expect(toReport(measured({ commits })).violations).toEqual([]);
  });

  it('a receipt twice → named', () => {
    const receipts = { asked: 2, found: 3, duplicated: ['run_1-2'] };
    expect(toReport(measured({ receipts })).violations).toEqual([
      '1 payments with more than one receipt: run_1-2',
    ]);
  });
});
