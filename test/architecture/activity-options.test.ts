// Every activity is called with a time-out and a retry policy that are said explicitly: none relies on Temporal's.
import { describe, expect, it } from '@jest/globals';
import * as options from '../../workflows/activity-options.ts';
import { guarantee } from '../guarantee.ts';
import { readHouse } from './house-files.ts';

const workflows = readHouse().filter(({ path: file }) => file.startsWith('workflows/'));
const named = {
  ledgerOptions: options.ledgerOptions,
  modelOptions: options.modelOptions,
  reconcileOptions: options.reconcileOptions,
  toolOptions: options.toolOptions(30_000),
};

/** The options argument of every call in workflows/ that makes or schedules activities. */
function optionsInUse(text: string): string[] {
  const proxies = text.matchAll(/\bproxy(?:Local)?Activities<[^;]*?>\(\s*([^;]*?)\s*,?\s*\);/g);
  const calls = text.matchAll(/\bschedule(?:Local)?Activity(?:<[^>]*>)?\(\s*([^;]*?)\s*,?\s*\);/g);
  return [
    ...[...proxies].map(([, argument = '']) => argument),
    ...[...calls].map(([, list = '']) => /\],\s*([^]*)$/.exec(list)?.[1] ?? list),
  ];
}

describe('activity options', () => {
  guarantee.each('S0-03', Object.entries(named))(
    '%s → a time-out and a bounded retry policy',
    (_name, { startToCloseTimeout, retry }) => {
      expect(startToCloseTimeout).toBeTruthy();
      expect(retry.maximumAttempts).toBeGreaterThanOrEqual(1);
      expect(retry.maximumAttempts).toBeLessThan(Number.MAX_SAFE_INTEGER);
      if (retry.maximumAttempts !== 1) {
        expect(retry).toMatchObject({
          initialInterval: expect.any(String),
          backoffCoefficient: expect.any(Number),
          maximumInterval: expect.any(String),
        });
      }
    },
  );

  guarantee(
    'S0-03',
    'every call of an activity in workflows/ → with options from that file',
    () => {
      const used = workflows.flatMap(({ text }) => optionsInUse(text));
      const calls = workflows.flatMap(
        ({ text }) => text.match(/\b(?:proxy|schedule)(?:Local)?Activit(?:y|ies)[<(]/g) ?? [],
      );
      // A call whose options this test cannot read is a finding too.
      expect(used).toHaveLength(calls.length);
      expect(used.length).toBeGreaterThan(3);
      const sources = [...Object.keys(named), 'toolOptions\\(.*\\)'].join('|');
      // `options` is a local: it must have been made by toolOptions.
      const isKnown = (use: string): boolean =>
        new RegExp(`^(${sources})$`, 's').test(use) ||
        workflows.some(({ text }) => text.includes(`const ${use} = toolOptions(`));
      expect(used.filter((use) => !isKnown(use))).toEqual([]);
    },
  );

  it('a call without options, or with options of its own → seen', () => {
    expect(optionsInUse("scheduleActivity('x', [1]);")).toEqual(["'x', [1]"]);
    expect(optionsInUse("proxyActivities<A>({ startToCloseTimeout: '1s' });")).toEqual([
      "{ startToCloseTimeout: '1s' }",
    ]);
  });
});
