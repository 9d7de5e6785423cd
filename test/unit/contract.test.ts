// What a receiver offers becomes a contract: every combination, and the durations that retention is written in.
import { describe, expect, it } from '@jest/globals';
import { deriveContract } from '../../domain/rules/contract.ts';
import { toMs } from '../../domain/rules/durations.ts';

describe('the derived contract', () => {
  // read, transactional, key, probe
  it.each([
    [true, true, true, true, 'read'],
    [true, false, false, false, 'read'],
    [false, true, true, true, 'transactional'],
    [false, true, false, false, 'transactional'],
    [false, false, true, true, 'keyed'],
    [false, false, true, false, 'keyed'],
    [false, false, false, true, 'reconcilable'],
    [false, false, false, false, 'once'],
  ])(
    'read %p, transactional %p, key %p, probe %p → %s',
    (isRead, isTransactional, hasKey, hasProbe, contract) => {
      const keyRetentionMs = hasKey ? 1 : undefined;
      expect(deriveContract({ isRead, isTransactional, keyRetentionMs, hasProbe })).toBe(contract);
    },
  );
});

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['10m', 600_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ])('%s → %d ms', (text, ms) => {
    expect(toMs(text)).toBe(ms);
  });

  it.each([
    '',
    '30',
    's',
    '30 s',
    '-1s',
    '1e3s',
    '30S',
    '30sec',
    '.5s',
    '1.s',
    ' 30s',
    '30s\n',
    'NaNs',
  ])('%p → a TypeError that names it and the form', (text) => {
    expect(() => toMs(text)).toThrow(
      new TypeError(
        `"${text}" is not a duration: write a number and ms, s, m, h or d, as in "30s"`,
      ),
    );
  });
});
