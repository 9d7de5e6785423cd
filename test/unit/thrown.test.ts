// What a thrown value says: whatever it is, a text, and never another throw.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { toErrorCode, toErrorName } from '../../activities/error-facts.ts';
import { describeThrown, member, messageOfThrown } from '../../domain/rules/thrown.ts';
import { isPending, isRefusal, pending, refused } from '../../domain/schemas/outcomes.ts';
import { guarantee } from '../guarantee.ts';
import { oddThrows } from './odd-values.ts';
import { checkProperty } from './support-properties.ts';

const circular = Object.assign(new Error('round'), { cause: undefined as unknown });
circular.cause = circular;

describe('a thrown value as text', () => {
  it.each([
    [new TypeError('no'), 'TypeError: no'],
    [new Error('a', { cause: new RangeError('b') }), 'Error: a (RangeError: b)'],
    [{ message: 'of another realm', name: 'Odd' }, 'Odd: of another realm'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [Symbol('s'), 'Symbol(s)'],
    [{ status: 500 }, '{"status":500}'],
    [Object.create(null), 'a thrown value that cannot be read'],
    [Object.assign(Object.create(null), { message: 'bare' }), 'Error: bare'],
    [new Error('a', { cause: 'words' }), 'Error: a'],
  ])('%p → %s', (thrown, text) => {
    expect(describeThrown(thrown)).toBe(text);
  });

  it('a cause that is its own cause → told a few times', () => {
    expect(describeThrown(circular)).toBe(
      'Error: round (Error: round (Error: round (Error: round (Error: round))))',
    );
  });

  it('a message of 10 MB, an emoji at the cut → at most 4,000 characters, no half pair', () => {
    const text = describeThrown(new Error('x'.repeat(3_991) + '😀'.repeat(1_000_000)));
    expect(text.length).toBeLessThanOrEqual(4_000);
    expect(Buffer.from(text, 'utf8').toString('utf8')).toBe(text);
  });

  guarantee('judging-is-total', 'any thrown value → a text, a guard, a code: never a throw', () => {
    checkProperty(
      fc.property(oddThrows, (make) => {
        const thrown = make();
        for (const read of [describeThrown, messageOfThrown, toErrorName, toErrorCode]) {
          expect(typeof read(thrown)).toBe('string');
        }
        for (const guard of [isRefusal, isPending]) expect(typeof guard(thrown)).toBe('boolean');
        expect(() => member(thrown, 'cause')).not.toThrow();
      }),
      300,
    );
  });
});

describe('a refusal and a reference by code without types', () => {
  it('numbers → texts: the ledger stores texts', () => {
    expect(refused(404 as unknown as string).code).toBe('404');
    expect(pending(7 as unknown as string).reference).toBe('7');
    expect(pending(undefined).reference).toBeNull();
  });

  it('a refusal whose code is no text → none: its outcome stays open', () => {
    const odd = Object.assign(new Error('no'), { isPawlRefusal: true, code: { a: 1 } });
    expect(isRefusal(odd)).toBe(false);
  });
});
