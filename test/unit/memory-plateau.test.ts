// The judge of memory series: noise is no leak, a leak is not hidden by noise, and too little is no verdict.
import { describe, expect, it } from '@jest/globals';
import { judgeGrowth, type Point } from '../../bench/memory/plateau.ts';

const LIMITS = { warmUpRuns: 250, kbPerRunMax: 32 };

/** Warms up towards 300 MB, then adds `kbPerRun`, with garbage that comes and goes. */
function series(kbPerRun: number, noiseMb = 4, runs = 500): Point[] {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: runs / 10 }, (_, at) => {
    const run = (at + 1) * 10;
    const warm = 300 * (1 - Math.exp(-run / 40));
    return { runs: run, mb: warm + (kbPerRun * run) / 1_024 + (random() - 0.5) * noiseMb };
  });
}

describe('judgeGrowth', () => {
  it('warm-up and noise → a plateau; the same with 128 KB kept a run → a leak, by its size', () => {
    expect(judgeGrowth(series(0), LIMITS)).toMatchObject({ verdict: 'plateau', points: 26 });
    const leak = judgeGrowth(series(128), LIMITS);
    expect(leak.verdict).toBe('leak');
    expect(leak.fromKb).toBeLessThan(128);
    expect(leak.toKb).toBeGreaterThan(128);
  });

  it('one collection in the middle, or one sample far off → the slope does not move', () => {
    const calm = series(0, 1);
    const sawtooth = calm.map(({ runs, mb }) => ({ runs, mb: mb + (runs % 60) / 30 }));
    const spiked = calm.map((point, at) => (at === 45 ? { ...point, mb: 500 } : point));
    for (const points of [sawtooth, spiked]) {
      expect(judgeGrowth(points, LIMITS).verdict).toBe('plateau');
    }
  });

  it('a leak behind more noise than it adds → unclear, neither a leak nor a plateau', () => {
    const { verdict, fromKb, toKb } = judgeGrowth(series(48, 200), LIMITS);
    expect(verdict).toBe('unclear');
    expect(fromKb).toBeLessThan(LIMITS.kbPerRunMax);
    expect(toKb).toBeGreaterThan(LIMITS.kbPerRunMax);
  });

  it('its interval holds the true slope, in 19 of 20 series', () => {
    const held = Array.from({ length: 200 }, (_, seed) => {
      // Each of another noise: the same numbers, from another place on.
      const points = series(50, 20, 500 + seed * 10).slice(-26);
      const { fromKb, toKb } = judgeGrowth(points, { ...LIMITS, warmUpRuns: 0 });
      return fromKb <= 50 && 50 <= toKb;
    });
    expect(held.filter(Boolean).length).toBeGreaterThan(170);
  });

  it('too few samples → an error, not a verdict', () => {
    expect(() => judgeGrowth(series(0).slice(0, 30), LIMITS)).toThrow(
      '6 samples behind the warm-up: 8 are needed',
    );
  });
});
