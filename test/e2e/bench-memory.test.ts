// A slice of `npm run bench -- memory`: a real worker keeps nothing of the runs that it has ended, and a leak would be seen.
import { describe, expect } from '@jest/globals';
import { measureMemory } from '../../bench/memory/measure-memory.ts';
import { guarantee } from '../guarantee.ts';

/** A slice is too short for the limits of the whole: code is still compiled while it runs. */
const GROWS_AT_MOST_KB = 128;
const LEAKED_KB = 512;

describe('bench memory', () => {
  guarantee(
    ['S3-19', 'F-28'],
    'runs that end, then runs that each leave 512 KB behind → a plateau, then a leak by its size',
    async () => {
      const { asItIs, leaking } = await measureMemory({
        runs: 28,
        warmUpRuns: 12,
        leakingRuns: 16,
        leakedKb: LEAKED_KB,
        steps: 6,
        atOnce: 4,
        everyRuns: 2,
      });
      expect(asItIs.heap.toKb).toBeLessThan(GROWS_AT_MOST_KB);
      expect(asItIs.peakMb).toBeLessThan(512);
      expect(leaking.heap).toMatchObject({ verdict: 'leak' });
      expect(leaking.heap.fromKb).toBeGreaterThan(LEAKED_KB - GROWS_AT_MOST_KB);
      expect(leaking.heap.toKb).toBeLessThan(LEAKED_KB + GROWS_AT_MOST_KB);
    },
  );
});
