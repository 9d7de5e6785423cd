// Answers in a form that can always be stored: any value that a provider may bring, with its usage in numbers that add up.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { toStorableAnswer, toWholeUsage } from '../../activities/runs/storable-answer.ts';
import type { ModelAnswer } from '../../domain/rules/transcript.ts';
import { guarantee } from '../guarantee.ts';
import { checkProperty } from './support-properties.ts';

const answer = (change: object): ModelAnswer => ({
  parts: [{ kind: 'text', text: 'x' }],
  usage: { inputTokens: 5, outputTokens: 7, cachedInputTokens: 1 },
  stopReason: 'end',
  servedModel: 'm',
  ...change,
});

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

const call = (args: unknown) => ({ kind: 'tool-call', id: 'c', name: 'pay', arguments: args });
const cycle: { self?: unknown } = {};
cycle.self = cycle;

describe('an answer on its way into the ledger', () => {
  guarantee(
    'paid-once',
    'whatever it holds: NUL, half pairs, cycles, BigInt, throwing toJSON, 100,000 levels, any shape → JSON that a text column takes, and its usage',
    () => {
      const odd = [
        answer({ parts: [call(cycle)] }),
        answer({ parts: [call(nested(100_000))] }),
        answer({ parts: [call(5n)] }),
        answer({ parts: [call({ toJSON: () => { throw new Error('no'); } })] }), // prettier-ignore
        answer({ parts: [{ kind: 'text', text: 'a\u0000b\ud800' }] }),
        answer({ stopReason: '__proto__' }),
        answer({ parts: 'none' }),
        answer({ parts: [null] }),
      ];
      const any = fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true });
      const anyAnswer = fc
        .record({
          parts: fc.oneof(fc.array(any), any),
          stopReason: any,
          problem: any,
          servedModel: any,
        })
        .map(answer);
      checkProperty(
        fc.property(fc.oneof(fc.constantFrom(...odd), anyAnswer), (given) => {
          const { answer: kept, text } = toStorableAnswer(given);
          expect(text).not.toMatch(/\u0000/);
          expect(Buffer.from(text).toString()).toBe(text);
          expect(JSON.parse(text)).toEqual(kept);
          expect(kept.usage).toEqual(given.usage);
          if (kept.stopReason === 'unusable') expect(kept.problem).toEqual(expect.any(String));
        }),
      );
    },
  );

  it('nothing at all → unusable, with no usage', () => {
    for (const given of [undefined, null, 7, 'text']) {
      const { answer: kept } = toStorableAnswer(given as unknown as ModelAnswer);
      expect(kept).toMatchObject({ stopReason: 'unusable', parts: [] });
      expect(kept.usage).toEqual({ inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 });
    }
  });

  it('an answer that can be stored → as it is, word for word', () => {
    const given = answer({ parts: [call({ a: ['\ud800', 'é', 1.5] })], stopReason: 'tool-calls' });
    expect(toStorableAnswer(given).answer).toEqual(given);
  });

  it('usage of any kind → whole numbers from 0 to a thousand million', () => {
    const any = fc.oneof(fc.double(), fc.bigInt(), fc.string(), fc.constant(undefined));
    checkProperty(
      fc.property(any, any, any, (inputTokens, outputTokens, cachedInputTokens) => {
        const usage = toWholeUsage({ inputTokens, outputTokens, cachedInputTokens } as never);
        for (const count of Object.values(usage)) {
          expect(Number.isInteger(count) && count >= 0 && count <= 1e9).toBe(true);
        }
      }),
    );
  });
});
