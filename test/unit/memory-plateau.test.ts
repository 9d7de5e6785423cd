// The judge of memory series: noise is no leak, and a leak is not hidden by noise.
import { describe, expect, it } from '@jest/globals';
import { judgePlateau, type MemorySample } from '../../bench/memory/plateau.ts';
import { guarantee } from '../guarantee.ts';

const LIMITS = { mbMax: 512, kbPerRunMax: 32 };

/** Warms up towards `base` MB, then adds `kbPerRun`, with garbage that comes and goes. */
function series(base: number, kbPerRun: number, noiseMb = 20, runs = 500): MemorySample[] {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: runs / 5 }, (_, at) => {
    const run = at * 5;
    const warm = base * (1 - Math.exp(-run / 40));
    return { runs: run, mb: warm + (kbPerRun * run) / 1_024 + (random() - 0.5) * noiseMb };
  });
}

describe('judgePlateau', () => {
  guarantee(
    ['S3-19', 'F-28'],
    'warm-up and noise of 20 MB → a plateau; the same with 200 KB kept a run → a leak, by its size',
    () => {
      expect(judgePlateau(series(300, 0), LIMITS)).toMatchObject({ isPlateau: true });
      const leak = judgePlateau(series(300, 200), LIMITS);
      expect(leak.isPlateau).toBe(false);
      expect(leak.kbPerRun).toBeGreaterThan(150);
      expect(leak.kbPerRun).toBeLessThan(250);
      expect(leak.violations[0]).toMatch(/^memory grows by \d+\.\d KB a run, more than 32$/);
    },
  );

  it('one collection in the middle, or one sample far off → the slope does not move', () => {
    const calm = series(300, 0, 4);
    const sawtooth = calm.map(({ runs, mb }) => ({ runs, mb: mb + (runs % 60) / 3 }));
    const spiked = calm.map((sample, at) => (at === 95 ? { ...sample, mb: 500 } : sample));
    for (const samples of [sawtooth, spiked]) {
      expect(judgePlateau(samples, LIMITS).isPlateau).toBe(true);
    }
  });

  it('flat, but above the limit → no plateau, by its height', () => {
    const { violations } = judgePlateau(series(600, 0), LIMITS);
    expect(violations).toEqual([expect.stringMatching(/^6\d\d MB, more than 512$/)]);
  });

  it('too few samples → an error, not a verdict', () => {
    expect(() => judgePlateau(series(300, 0).slice(0, 5), LIMITS)).toThrow(
      '3 samples after the warm-up: 8 are needed',
    );
  });
});
