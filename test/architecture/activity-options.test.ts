// Every activity is called with a time-out and a retry policy that are said explicitly: none relies on Temporal's.
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import { nextDelayMs } from '../../domain/rules/backoff.ts';
import { toMs } from '../../domain/rules/durations.ts';
import * as options from '../../workflows/activity-options.ts';
import { guarantee } from '../guarantee.ts';
import { readHouse } from './house-files.ts';

const workflows = readHouse().filter(({ path: file }) => file.startsWith('workflows/'));
const named = {
  ledgerOptions: options.ledgerOptions,
  modelOptions: options.modelOptions,
  reconcileOptions: options.reconcileOptions,
  toolOptions: options.toolOptions(30_000),
  localOptions: options.localOptions(2_000, 'pay'),
};

const CALL = /\b(?:proxy|schedule)(?:Local)?Activit(?:y|ies)[<(]/g;

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

  /** The shortest sum of waits by Temporal's arithmetic, and by our own where each failure brings its delay with jitter. */
  function horizonDays({ retry }: options.ExplicitOptions): number {
    const { initialInterval, backoffCoefficient = 2, maximumInterval, maximumAttempts } = retry;
    const waitMs = { first: toMs(String(initialInterval)), max: toMs(String(maximumInterval)) };
    let totalMs = 0;
    for (let n = 1; n < maximumAttempts; n += 1) {
      totalMs += Math.min(waitMs.max, waitMs.first * backoffCoefficient ** (n - 1));
    }
    return totalMs / 86_400_000;
  }

  it('the arithmetic → that of Temporal, on a policy that can be summed by hand', () => {
    const retry = {
      initialInterval: '1h',
      backoffCoefficient: 2,
      maximumInterval: '12h',
      maximumAttempts: 6,
    } as const;
    // 1 + 2 + 4 + 8 + 12 hours.
    expect(horizonDays({ startToCloseTimeout: '1s', retry })).toBe(27 / 24);
  });

  const { ledgerOptions, modelOptions, toolOptions } = named;
  guarantee.each('no-silent-retries', Object.entries({ ledgerOptions, modelOptions, toolOptions }))(
    '%s → the database may be away for more than a month: no step ends for lack of attempts',
    (_name, activityOptions) => {
      expect(horizonDays(activityOptions)).toBeGreaterThan(30);
      // Failures of ours bring a delay with full jitter: half of the cap on average.
      const random = seededRandom(1);
      const delays = Array.from({ length: 10_000 }, (_, index) =>
        nextDelayMs({ attempt: index + 1, baseMs: 250, capMs: 30_000, random: random() }),
      );
      const meanMs = delays.reduce((sum, delay) => sum + delay) / delays.length;
      const { maximumAttempts } = activityOptions.retry;
      expect((meanMs * maximumAttempts) / 86_400_000).toBeGreaterThan(30);
    },
  );

  const { reconcileOptions } = options;
  const beating = { ledgerOptions, modelOptions, toolOptions, reconcileOptions };
  guarantee.each('noticed', Object.entries(beating))(
    '%s → by time-outs alone the next attempt of a dead worker’s step begins within 5 s',
    (_name, { heartbeatTimeout, retry }) => {
      expect(heartbeatTimeout).toBeDefined();
      const waits = [heartbeatTimeout, retry.initialInterval].map((wait) => toMs(String(wait)));
      expect(waits.reduce((sum, wait) => sum + wait)).toBeLessThan(5_000);
    },
  );

  guarantee(
    'S0-03',
    'every activity of workflows/ → goes through runActivity, which takes explicit options only',
    () => {
      const callers = workflows.flatMap(({ path, text }) =>
        [...text.matchAll(CALL)].map(() => path),
      );
      // One call of each kind.
      expect(callers).toEqual(Array(2).fill('workflows/run-activity.ts'));
    },
  );

  it('options without a time-out or without a bound on attempts → refused by the compiler', () => {
    // @ts-expect-error no time-out
    const noTimeout: options.ExplicitOptions = { retry: { maximumAttempts: 1 } };
    // @ts-expect-error Temporal's default: no bound
    const noBound: options.ExplicitOptions = { startToCloseTimeout: '1s', retry: {} };
    // @ts-expect-error a local activity's, too
    const noRetry: options.ExplicitLocalOptions = { startToCloseTimeout: '1s' };
    expect([noTimeout, noBound, noRetry]).toHaveLength(3);
  });
});
