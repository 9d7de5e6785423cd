// A slice of `npm run fuzz -- --only streams`, under another seed each time; PAWL_TEST_SEED repeats one.
import { randomInt } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { fuzzStreams } from '../fuzz/streams/fuzz-streams.ts';
import { parseOptions, UsageError } from '../fuzz/options.ts';
import { guarantee } from '../guarantee.ts';

const seed = Number(process.env['PAWL_TEST_SEED'] ?? randomInt(2 ** 31 - 1));
const CASES = 500;

describe('changed streams of both formats', () => {
  guarantee(
    ['answers-read', 'whole-or-nothing', 'always-sendable'],
    'dropped, repeated, cut, reordered, merged, swapped and odd pieces → nothing that must never be',
    async () => {
      const { counts, violations, examples } = await fuzzStreams({ seed, cases: CASES });
      expect({ seed, examples }).toEqual({ seed, examples: [] });
      expect(Object.values(violations).every((count) => count === 0)).toBe(true);
      expect(counts['answers: unusable']).toBeGreaterThan(50);
      expect(counts['calls that would be sent']).toBeGreaterThan(50);
      expect(counts['of them over a real socket']).toBe(CASES / 20);
    },
  );
});

describe('the command line of npm run fuzz', () => {
  it('nothing → every kind, a drawn seed; all flags → what they say', () => {
    expect(parseOptions([], () => 7)).toMatchObject({ seed: 7, cases: undefined });
    const all = parseOptions(['--seed', '1', '--cases', '9', '--only', 'streams'], () => 7);
    expect(all).toMatchObject({ kinds: ['streams'], seed: 1, cases: 9 });
  });

  it.each([['--only', 'rivers'], ['--seed', 'x'], ['--cases', '-1'], ['--what']])(
    '%s %s → a sentence that says what is wrong',
    (...argv) => {
      expect(() => parseOptions(argv.filter(Boolean), () => 7)).toThrow(UsageError);
    },
  );
});
