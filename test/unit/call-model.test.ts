// Which model is asked, and how long anybody waits for it: by what earlier attempts have left, whatever a provider wishes.
import type { Context } from '@temporalio/activity';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { callModel, pickModel, RETRY_AFTER_MAX_MS } from '../../activities/runs/call-model.ts';
import type { RunDeps } from '../../activities/runs/run-deps.ts';
import { ModelCallError } from '../../activities/models/model-provider.ts';
import { guarantee } from '../guarantee.ts';
import { checkProperty } from './support-properties.ts';

const model = { primary: 'a/1', fallbacks: ['b/2', 'c/3'] };
const input = {
  v: 1,
  address: { tenant: 't', rootKey: 'r', path: [], turn: 1, generation: 0 },
  runKey: 'r',
  agent: 'clerk',
  agentHash: 'h',
} as const;

/** Attempts of one activity whose every candidate fails; what they leave goes on to the next. */
function attempts(fallbacks: readonly string[], { canWait = true, random = 0.5 } = {}) {
  let heartbeatDetails: unknown;
  let attempt = 0;
  const asked: string[] = [];
  const next = async (
    retryAfterMs: number | undefined,
    kind: 'http' | 'unparsable' | 'cut' = 'http',
  ): Promise<Record<string, unknown>> => {
    attempt += 1;
    const origin = { provider: 'any', message: 'x' };
    const tooMany = { ...origin, kind: 'http', status: 429, retryAfterMs } as const;
    const context = {
      info: { attempt, heartbeatDetails },
      cancellationSignal: new AbortController().signal,
      heartbeat: (details: unknown) => (heartbeatDetails = JSON.parse(JSON.stringify(details))),
    } as unknown as Context;
    const provider = {
      name: 'any',
      call: () =>
        Promise.reject(new ModelCallError(kind === 'http' ? tooMany : { ...origin, kind })),
    };
    const deps = {
      crash: () => undefined,
      random: () => random,
      providers: {
        resolve: (reference: string) => {
          asked.push(reference);
          return { provider, model: reference };
        },
      },
    } as unknown as RunDeps;
    const request = { model: '', system: '', messages: [], tools: [], maxOutputTokens: 1 };
    const question = {
      input: canWait ? { ...input, canWait: true } : input,
      kind: 'turn' as const,
      model: { primary: 'a/1', fallbacks },
      request,
    };
    return callModel(deps, question, context).then(
      (answer) => answer as unknown as Record<string, unknown>,
      (failure: unknown) => failure as Record<string, unknown>,
    );
  };
  return { next, asked };
}

describe('the next model', () => {
  const at = (attempt: number, waits = {}): string =>
    pickModel(model, { info: { attempt, heartbeatDetails: { v: 1, waits } } } as never, 1_000);

  it('three failures each → the next candidate, then the primary again', () => {
    const picked = Array.from({ length: 12 }, (_, index) => at(index + 1).slice(0, 1)).join('');
    expect(picked).toBe('aaabbbcccaaa');
  });

  it('one has asked for a long wait → passed over until that is over; all have → the one whose turn it is', () => {
    expect(at(1, { 'a/1': 1_001 })).toBe('b/2');
    expect(at(1, { 'a/1': 1_001, 'b/2': 1_001 })).toBe('c/3');
    expect(at(1, { 'a/1': 1_000 })).toBe('a/1');
    expect(at(1, { 'a/1': 2_000, 'b/2': 2_000, 'c/3': 2_000 })).toBe('a/1');
  });
});

describe('an answer that is not in the format of its provider', () => {
  guarantee('no-silent-retries', 'ten in a row → the tenth parks the run', async () => {
    const { next, asked } = attempts(['b/2']);
    const answers = [];
    for (let n = 0; n < 10; n += 1) answers.push(await next(undefined, 'unparsable'));
    const ends = answers.map(({ type, nonRetryable }) => [type, nonRetryable]);
    expect(ends.slice(0, 9)).toEqual(Array(9).fill(['Model.AnswerInvalid', false]));
    expect(ends[9]).toEqual(['Model.AnswerInvalid', true]);
    expect(asked).toHaveLength(10);
  });

  it('with one between them that was cut → counted from the start', async () => {
    const { next } = attempts([]);
    for (let n = 0; n < 9; n += 1) await next(undefined, 'unparsable');
    await next(undefined, 'cut');
    for (let n = 0; n < 9; n += 1) {
      expect((await next(undefined, 'unparsable'))['nonRetryable']).toBe(false);
    }
    expect((await next(undefined, 'unparsable'))['nonRetryable']).toBe(true);
  });
});

describe('a wait', () => {
  guarantee(
    'visible-waits',
    'of a day, of all candidates → each is asked once, at once, then a wait of ten minutes that the workflow holds',
    async () => {
      const { next, asked } = attempts(['b/2', 'c/3']);
      for (let n = 0; n < 2; n += 1) {
        const failure = await next(86_400_000);
        expect(failure).toMatchObject({ type: 'Model.RateLimited', nonRetryable: false });
        expect(Number(failure['nextRetryDelay'])).toBeLessThanOrEqual(1_000);
      }
      const waiting = await next(86_400_000);
      expect(waiting['kind']).toBe('waiting');
      const leftMs = Number(waiting['untilMs']) - Date.now();
      expect(leftMs).toBeLessThanOrEqual(RETRY_AFTER_MAX_MS + 1_000);
      expect(leftMs).toBeGreaterThan(RETRY_AFTER_MAX_MS - 10_000);
      expect(asked).toEqual(['a/1', 'b/2', 'c/3']);
    },
  );

  it('asked for by a run of an older build → held by the activity, and no longer than eleven minutes', async () => {
    const { next } = attempts([], { canWait: false });
    expect(Number((await next(Infinity))['nextRetryDelay'])).toBeLessThanOrEqual(660_000);
  });

  guarantee(
    'visible-waits',
    'any wish → nobody waits for more than a minute unseen, and never for more than eleven',
    async () => {
      const wishes = fc.oneof(
        fc.double({ noNaN: true }),
        fc.constantFrom(0, 59_999, 60_001, Infinity, 2.5e14),
      );
      const seen: Promise<void>[] = [];
      checkProperty(
        fc.property(wishes, fc.double({ min: 0, max: 0.999, noNaN: true }), (wish, random) => {
          seen.push(
            attempts([], { random })
              .next(wish)
              .then(({ kind, untilMs, nextRetryDelay }) => {
                const delayMs =
                  kind === 'waiting' ? Number(untilMs) - Date.now() : Number(nextRetryDelay);
                expect(delayMs).toBeLessThanOrEqual(kind === 'waiting' ? 660_000 : 60_000);
              }),
          );
        }),
        200,
      );
      await Promise.all(seen);
    },
  );
});
