// The command line of `npm run bench`: what is understood, and what is refused before anything is measured.
import { describe, expect, it } from '@jest/globals';
import { type Questions, readArguments, usage, UsageError } from '../../bench/arguments.ts';
import type { Question } from '../../bench/question.ts';

const speed: Question = {
  says: 'how fast it is',
  counts: { turns: { usual: 50, min: 2, says: 'turns of the run' } },
  draws: 'draws a curve',
  ask: () => Promise.reject(new Error('not asked here')),
};
const { draws: _, ...cost } = speed;
const questions: Questions = { speed, cost };

describe('readArguments', () => {
  it('nothing but a question → its usual counts, text on standard output', () => {
    expect(readArguments(questions, ['speed'])).toEqual({
      ...{ name: 'speed', question: speed, counts: { turns: 50 }, isJson: false },
      ...{ outFile: undefined, svgFile: undefined },
    });
  });

  it('counts and files → taken', () => {
    const argv = ['speed', '--turns', '7', '--json', '--out', 'x.json', '--svg', '/x.svg'];
    expect(readArguments(questions, argv)).toMatchObject({
      ...{ counts: { turns: 7 }, isJson: true, outFile: 'x.json', svgFile: '/x.svg' },
    });
  });

  it('--help anywhere → undefined', () => {
    expect(readArguments(questions, ['speed', '--help'])).toBeUndefined();
  });

  it.each([
    [[], 'which question?'],
    [['constructor'], 'no question "constructor"'],
    [['speed', '--turns', '1'], '--turns 1: give a whole number from 2'],
    [['speed', '--turns', '1.5'], '--turns 1.5: give a whole number from 2'],
    [['speed', '--rounds', '3'], "Unknown option '--rounds'"],
    [['speed', '--out', '/nowhere/x.json'], '--out /nowhere/x.json: there is no folder /nowhere'],
    [['cost', '--svg', 'x.svg'], "Unknown option '--svg'"],
  ])('%j → UsageError that says why', (argv, reason) => {
    const read = (): unknown => readArguments(questions, argv);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(reason);
  });
});

describe('usage', () => {
  it('every question → its options, and --svg where it draws', () => {
    const page = usage(questions);
    expect(page).toContain('--turns        turns of the run; 50 when not given');
    expect(page.match(/--svg FILE {5}draws a curve/g)).toHaveLength(1);
    expect(page).toContain('--out FILE');
  });
});
