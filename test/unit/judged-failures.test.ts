// Failures of attempts: which keep a rule of their own, which are ours, and that the third of ours in a row ends the step.
import type { Context } from '@temporalio/activity';
import {
  ActivityCancellationDetails,
  ApplicationFailure,
  CancelledFailure,
} from '@temporalio/common';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { judgeFailures } from '../../activities/judged-failures.ts';
import { LedgerUnavailable } from '../../activities/ledger/database.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import { guarantee } from '../guarantee.ts';
import { oddThrows } from './odd-values.ts';
import { checkAsyncProperty, checkProperty } from './support-properties.ts';

interface Told {
  readonly shutdown?: boolean;
  readonly cancel?: boolean;
  readonly isLocal?: boolean;
}

/** Attempts of one activity: each on a worker of its own, that knows only what Temporal keeps. */
function attempts({ activity = 'pawl.model', told = {} as Told } = {}) {
  let heartbeatDetails: unknown;
  return async (thrown: unknown): Promise<ApplicationFailure> => {
    const isAborted = told.shutdown === true || told.cancel === true;
    const context = {
      info: { heartbeatDetails, isLocal: told.isLocal ?? false },
      heartbeat: (details: unknown) => (heartbeatDetails = JSON.parse(JSON.stringify(details))),
      cancellationSignal: isAborted ? AbortSignal.abort() : new AbortController().signal,
      cancellationDetails: new ActivityCancellationDetails({
        workerShutdown: told.shutdown ?? false,
        cancelRequested: told.cancel ?? false,
      }),
    } as unknown as Context;
    const attempt = { context, activity, random: () => 0.5 };
    return judgeFailures(attempt, () => Promise.reject(thrown as Error)).then(
      () => {
        throw new Error('it must reject');
      },
      (failure: unknown) => failure as ApplicationFailure,
    );
  };
}

const sqlError = (code: string): Error =>
  Object.assign(new Error(`SQLSTATE ${code}`), { code, severity: 'ERROR' });

describe('a failure of an attempt', () => {
  guarantee(
    'no-silent-retries',
    'ours, three times in a row → the third is not retryable and names step and cause; before that it waits',
    async () => {
      const fail = attempts();
      const first = await fail(new TypeError('x is not a function'));
      expect(first).toMatchObject({ type: 'TypeError', nextRetryDelay: 750, nonRetryable: false });
      expect(await fail(new TypeError('x is not a function'))).toMatchObject({
        nextRetryDelay: 3_000,
        nonRetryable: false,
      });
      expect(await fail(new TypeError('x is not a function'))).toMatchObject({
        type: FailureType.StepFailed,
        nonRetryable: true,
        message: expect.stringMatching(/^pawl\.model failed 3 times in a row.*x is not a function/),
      });
    },
  );

  guarantee('no-silent-retries', 'whatever is thrown → the third of the same ends the step', () =>
    checkAsyncProperty(
      fc.asyncProperty(oddThrows, async (make) => {
        const fail = attempts();
        await fail(make());
        await fail(make());
        expect(await fail(make())).toMatchObject({ type: 'Step.Failed', nonRetryable: true });
      }),
      200,
    ),
  );

  it('ours, with another number or id in its words each time → the same one', async () => {
    const fail = attempts();
    await fail(new Error('port 53412, ef_3f9a77c20b'));
    await fail(new Error('port 53987, ef_91b2c3d4e5'));
    expect((await fail(new Error('port 4, ef_00aa11bb22'))).nonRetryable).toBe(true);
  });

  it('ours, another one each time → the tenth ends the step', async () => {
    const fail = attempts();
    const words = 'abcdefghij'.split('');
    const judged = [];
    for (const word of words) judged.push((await fail(new Error(word))).nonRetryable === true);
    expect(judged).toEqual([...Array(9).fill(false), true]);
  });

  it.each(['08006', '28P01', '53300', '57P01', '58030', '40001', '40P01', '55P03', '25006'])(
    'SQLSTATE %s, twenty times → the ledger’s: goes on as it came',
    async (code) => {
      const fail = attempts();
      for (let n = 0; n < 20; n += 1) {
        const error = sqlError(code);
        expect(await fail(error)).toBe(error);
      }
    },
  );

  it.each(['22P05', '22003', '22001', '23514', '42P01', '54001', 'P0001'])(
    'SQLSTATE %s → ours: the third ends the step',
    async (code) => {
      const fail = attempts();
      await fail(sqlError(code));
      await fail(sqlError(code));
      expect((await fail(sqlError(code))).type).toBe(FailureType.StepFailed);
    },
  );

  it('a ledger out of reach, failures with a type of ours, a cancel → as they came, however often', async () => {
    const ruled = Object.values(FailureType).filter((type) => type !== 'Policy.Unavailable');
    const kept: unknown[] = [
      new LedgerUnavailable(new Error('connect ECONNREFUSED')),
      new CancelledFailure('cancelled'),
      ...ruled.map((type) => ApplicationFailure.retryable('x', type)),
    ];
    for (const error of kept) {
      const fail = attempts();
      for (let n = 0; n < 5; n += 1) expect(await fail(error)).toBe(error);
    }
  });

  it('a policy that fails at the send, three times → ours, with its own words', async () => {
    const fail = attempts({ activity: 'tool.pay' });
    const error = ApplicationFailure.retryable('the rule divides by zero', 'Policy.Unavailable');
    await fail(error);
    expect(await fail(error)).toMatchObject({ type: 'Policy.Unavailable', nonRetryable: false });
    const last = await fail(error);
    expect(last.type).toBe(FailureType.StepFailed);
    expect(last.message).toContain('the rule divides by zero');
  });

  it('parking fails → goes on trying: it is what makes everything else visible', async () => {
    const fail = attempts({ activity: 'pawl.park' });
    for (let n = 0; n < 30; n += 1) {
      const { nonRetryable, nextRetryDelay } = await fail(sqlError('22P05'));
      expect([nonRetryable, Number(nextRetryDelay) <= 16_000]).toEqual([false, true]);
    }
  });

  guarantee(
    'shutdown-is-no-cancel',
    'whatever is thrown while the worker stops → retried at once and not counted; while the run is cancelled → as it came',
    async () => {
      const stopping = attempts({ told: { shutdown: true } });
      for (let n = 0; n < 5; n += 1) {
        expect(await stopping(new Error('aborted'))).toMatchObject({
          type: FailureType.WorkerStopped,
          nonRetryable: false,
          nextRetryDelay: 1,
        });
      }
      const error = new Error('aborted');
      expect(await attempts({ told: { cancel: true } })(error)).toBe(error);
    },
  );

  it('a local attempt → as it came: what follows it counts', async () => {
    const error = new Error('x');
    const fail = attempts({ told: { isLocal: true } });
    for (let n = 0; n < 5; n += 1) expect(await fail(error)).toBe(error);
  });

  guarantee(
    'no-silent-retries',
    'any thrown value: circular causes, null prototypes, throwing getters, NUL, half pairs, a megabyte → judged, in words that can be stored',
    async () => {
      const circular = new Error('round');
      circular.cause = circular;
      const bare: unknown = Object.create(null);
      const thrower = { get message(): string { throw new Error('no'); } }; // prettier-ignore
      const hostile = Object.defineProperty(new Error('x'), 'name', {
        get: () => {
          throw new Error('no');
        },
      });
      const values = [circular, bare, thrower, hostile, undefined, null, 7n, Symbol('s'), () => 1];
      const thrown = fc.oneof(
        fc.constantFrom(...values),
        fc.anything({ withNullPrototype: true, withBigInt: true }),
        fc.string({ unit: 'binary' }).map((text) => new Error(`\u0000\ud800${text}`)),
        fc.constant(new Error('y'.repeat(1_000_000))),
      );
      const seen: Promise<void>[] = [];
      checkProperty(
        fc.property(thrown, (value) => {
          seen.push(checkThree(value));
        }),
        300,
      );
      await Promise.all(seen);
    },
  );
});

async function checkThree(value: unknown): Promise<void> {
  const fail = attempts();
  await fail(value);
  await fail(value);
  const last = await fail(value);
  expect(last.type).toBe(FailureType.StepFailed);
  expect(last.message.length).toBeLessThan(2_300);
  expect(last.message).not.toMatch(/\u0000/);
  expect(Buffer.from(last.message).toString()).toBe(last.message);
}
