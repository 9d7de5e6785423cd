// Full jitter: its bounds for every input, and that it breaks up a crowd (requirement S0-05).
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nextDelayMs } from '../../domain/rules/backoff.ts';
import { guarantee } from '../guarantee.ts';

const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
const settings = { seed, numRuns: 500, verbose: true } as const;
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const inputs = fc.record(
  {
    attempt: fc.integer({ min: 1, max: 5_000 }),
    baseMs: fc.integer({ min: 1, max: 60_000 }),
    capMs: fc.integer({ min: 1, max: 3_600_000 }),
    random,
    retryAfterMs: fc.integer({ min: 0, max: 86_400_000 }),
  },
  { requiredKeys: ['attempt', 'baseMs', 'capMs', 'random'] },
);

describe(`nextDelayMs (seed ${seed}: repeat with FC_SEED=${seed})`, () => {
  it('any input → a whole number between the floor and floor plus spread', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { attempt, baseMs, capMs, retryAfterMs = 0 } = input;
        const delayMs = nextDelayMs(input);
        expect(Number.isSafeInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(retryAfterMs);
        expect(delayMs).toBeLessThanOrEqual(
          retryAfterMs + Math.min(capMs, baseMs * 2 ** (attempt - 1)),
        );
      }),
      settings,
    );
  });

  it('one attempt later, same dice → never sooner', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const later = nextDelayMs({ ...input, attempt: input.attempt + 1 });
        expect(later).toBeGreaterThanOrEqual(nextDelayMs(input));
      }),
      settings,
    );
  });

  it('same input → same delay', () => {
    fc.assert(
      fc.property(inputs, (input) => nextDelayMs(input) === nextDelayMs({ ...input })),
      settings,
    );
  });

  guarantee(
    'S0-05',
    '1,000 clients failing together → the peak is at most a fifth of the crowd without jitter',
    () => {
      const roll = createDice(seed);
      const arrivals = Array.from({ length: 1_000 }).flatMap(() => {
        let atMs = 0;
        return [1, 2, 3, 4].map((attempt) => {
          const input = { attempt, baseMs: 1_000, capMs: 8_000, random: roll() };
          return (atMs += nextDelayMs(input));
        });
      });
      expect(peakPer100Ms(arrivals)).toBeLessThanOrEqual(200);
    },
  );

  guarantee('S0-05', 'a crowd with the same retry-after → still spread', () => {
    const dice = Array.from({ length: 1_000 }, (_, index) => index / 1_000);
    const arrivals = dice.map((roll) =>
      nextDelayMs({ attempt: 1, baseMs: 1_000, capMs: 8_000, retryAfterMs: 5_000, random: roll }),
    );
    expect(Math.min(...arrivals)).toBe(5_000);
    expect(peakPer100Ms(arrivals)).toBe(100);
  });

  it('attempt 0 → refused, attempts count from 1', () => {
    const input = { attempt: 0, baseMs: 1, capMs: 1, random: 0 };
    expect(() => nextDelayMs(input)).toThrow('attempts count from 1');
  });
});

/** Evenly spread dice (mulberry32): fast-check's own prefer the edges. */
function createDice(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function peakPer100Ms(arrivals: readonly number[]): number {
  const buckets = new Map<number, number>();
  for (const atMs of arrivals) {
    const bucket = Math.floor(atMs / 100);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
  }
  return Math.max(...buckets.values());
}
