// The cost of safety stays what the design says: two durable commits an effect (`npm run bench -- safety` measures the time).
import { describe, expect } from '@jest/globals';
import { measureSafety } from '../../bench/safety/measure-safety.ts';
import { renderSafety } from '../../bench/safety/report.ts';
import { guarantee } from '../guarantee.ts';

describe('the cost of an effect', () => {
  guarantee(
    'two-commits',
    'effect() with a keyed tool → two durable commits, counted by PostgreSQL, and one receipt',
    async () => {
      const report = await measureSafety({ effects: 4, rounds: 1, concurrency: 2 });
      const { commitsPerEffect, steps, engine, effectsPerSecond, receipts } = report;
      // The counter counts: nothing for a plain activity, one for one commit.
      expect(commitsPerEffect.plain).toMatchObject({ durable: 0, asynchronous: 0 });
      expect(commitsPerEffect.floor).toMatchObject({ durable: 1, asynchronous: 0 });
      expect(commitsPerEffect.ledger).toMatchObject({ durable: 2, asynchronous: 1 });
      expect(report.violations).toEqual([]);
      expect(receipts).toEqual({ asked: receipts.found, found: receipts.found, duplicated: [] });
      for (const { latency } of [steps, engine]) {
        for (const { p50Ms, samples } of Object.values(latency)) {
          expect(p50Ms).toBeGreaterThan(0);
          expect(samples).toBe(4);
        }
      }
      for (const { median } of Object.values(effectsPerSecond)) expect(median).toBeGreaterThan(0);
      expect(renderSafety(report)).toContain('B over A');
    },
  );
});
