// Every reachable state of every contract, by the functions that production runs: nothing breaks, and the explorer can find.
import { afterAll, describe, expect, it } from '@jest/globals';
import { EffectStatus } from '../../domain/rules/effect.ts';
import { guarantee } from '../guarantee.ts';
import { decode, encode } from './encoding.ts';
import { defectNames, defects } from './defects.ts';
import { explore, type Explored } from './explore.ts';
import { parseOptions, UsageError } from './options.ts';
import { describeViolations, toTable } from './report.ts';
import { createSetting, faultNames, type SettingName, settingNames } from './setting.ts';
import { initialWorld } from './world.ts';

/** What the modest budgets reach at least: fewer states mean that something is no longer explored. */
const STATES_MIN: Readonly<Record<SettingName, number>> = {
  once: 100_000,
  reconcilable: 40_000,
  keyed: 100_000,
  'keyed-probe': 2_000,
  transactional: 5_000,
  'identity-same': 80_000,
  'identity-other': 1_000,
  'identity-approved': 1_000,
};

/** With modest budgets the rarest fault strikes some dozens of times. */
const STRIKES_MIN = 25;

const explored: Explored[] = [];

describe('every state that can be reached', () => {
  afterAll(() => {
    process.stdout.write(`${toTable(explored)}\n`);
  });

  guarantee.each(
    'explored',
    settingNames.map((name) => [name] as const),
  )('%s → no property breaks, and each state has a way to an end', (name) => {
    const result = explore(createSetting(name));
    explored.push(result);
    expect(describeViolations(result).join('\n')).toBe('');
    expect(result.isComplete).toBe(true);
    expect(result.states).toBeGreaterThan(STATES_MIN[name]);
  });

  it('all settings together → every fault struck, again and again', () => {
    const struck = faultNames.map((fault): [string, number] => [
      fault,
      explored.reduce((sum, { faults }) => sum + (faults[fault] ?? 0), 0),
    ]);
    expect(explored.length).toBe(settingNames.length);
    expect(struck.filter(([, times]) => times < STRIKES_MIN)).toEqual([]);
  });

  it('all settings together → every edge of an effect’s states was taken', () => {
    const taken = new Set(explored.flatMap(({ statusEdges }) => Object.keys(statusEdges)));
    const { Intended, Dispatched, Applied, Refused, InDoubt } = EffectStatus;
    const edges = [
      [Intended, Dispatched],
      [Intended, Refused],
      [Intended, Applied],
      [Intended, InDoubt],
      [Dispatched, Intended],
      [Dispatched, Applied],
      [Dispatched, Refused],
      [Dispatched, InDoubt],
      [InDoubt, Applied],
      [InDoubt, Refused],
    ];
    expect(edges.map((edge) => edge.join(' -> ')).filter((edge) => !taken.has(edge))).toEqual([]);
  });
});

describe('the explorer can find', () => {
  guarantee.each(
    'explored',
    defectNames.map((name) => [name, defects[name].what] as const),
  )('%s: %s → found, with the shortest way there', (name) => {
    const { setting, budget, rules, breaks } = defects[name];
    const result = explore(createSetting(setting, { budget }), { rules, stopsAtFirst: true });
    expect(result.violations.map(({ property }) => property)).toContain(breaks);
    expect(result.violations[0]?.trace[0]).toMatch(/^ {2}1 {2}\S+/);
  });

  it.each([
    ['reconcilable', 1, 'one-receipt'],
    ['keyed', 0, 'one-receipt'],
    ['once', 1, 'truth'],
  ] as const)(
    'a process frozen between its lease check and its write, %s → found: this is the documented limit',
    (name, budget, breaks) => {
      const setting = createSetting(name, { budget, mayFreezeBeforeWrite: true });
      const result = explore(setting, { stopsAtFirst: true });
      expect(result.violations.map(({ property }) => property)).toEqual([breaks]);
    },
  );
});

describe('the states', () => {
  it('a world → its key → the same world', () => {
    const setting = createSetting('identity-same');
    const { key } = encode(initialWorld(setting), setting);
    expect(encode(decode(key, 2), setting).key).toBe(key);
    expect(decode(key, 2)).toMatchObject({ budget: setting.budget, isPaused: false });
  });
});

describe('the command line', () => {
  it('nothing → everything, with modest budgets', () => {
    expect(parseOptions([])).toMatchObject({ settings: settingNames, budget: undefined });
  });

  it('contracts → in the order of the table', () => {
    expect(parseOptions(['--contract', 'keyed,once']).settings).toEqual(['once', 'keyed']);
  });

  it.each([
    [['--contract', 'read'], /there is no "read"/],
    [['--budget', 'two'], /--budget two: give a whole number from 0/],
    [['--defect', 'none'], /there is no "none"/],
    [['--defect', 'no-pause', '--contract', 'once'], /leave --contract out/],
    [['--what'], /--what/],
  ])('%j → a sentence that says what to do', (argv, lesson) => {
    expect(() => parseOptions(argv)).toThrow(UsageError);
    expect(() => parseOptions(argv)).toThrow(lesson);
  });
});
