// JSON that parsing would change is found, with its place; all other JSON passes.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { findJsonProblem, JSON_DEPTH_MAX } from '../../domain/rules/exact-json.ts';
import { guarantee } from '../guarantee.ts';
import { checkProperty } from './support-properties.ts';

describe('exact JSON', () => {
  guarantee.each('typed-input', [
    ['{"amount":9007199254740993}', 'amount', /would become 9007199254740992: write it as a text/],
    ['[1,[2,{"a b":1e400}]]', '[1][1]["a b"]', /too large/],
    ['{"x":{"y":0.10000000000000000000001}}', 'x.y', /would become 0\.1/],
    ['{"to":"a","amount":1,"to":"b"}', 'to', /there twice/],
    [String.raw`{"a":[{"t\u006f":1},{"to":1,"t\u006f":2}]}`, 'a[1].to', /there twice/],
    [String.raw`["ok","a\u0000b"]`, '[1]', /U\+0000/],
    [String.raw`{"a\ud800":1}`, String.raw`["a\ud800"]`, /half of a surrogate pair \(U\+D800\)/],
    ['"\udc00"', '', /half of a surrogate pair \(U\+DC00\)/],
    ['['.repeat(6_000) + ']'.repeat(6_000), '', /deeper than 256/],
  ])('case %# → its place and what is wrong', (text, path, problem) => {
    expect(findJsonProblem(text)).toEqual({ path, problem: expect.stringMatching(problem) });
  });

  it.each([
    '1.10',
    '-0',
    '1E3',
    '100000000000000000000',
    '0e99999',
    '1e-7',
    String.raw`"\ud83d\ude00 \\u0000 \" ,{"`,
    '{"a":{"b":1},"b":{"a":1}}',
    '[{},[],"",true,null]',
    '['.repeat(JSON_DEPTH_MAX) + ']'.repeat(JSON_DEPTH_MAX),
  ])('case %# passes', (text) => {
    expect(findJsonProblem(text)).toBeUndefined();
  });

  it('whatever JSON.stringify writes of storable values passes', () => {
    const storable = fc
      .jsonValue({ maxDepth: 5 })
      .filter((value) => !/\\u0000|\\ud[89a-f]/.test(JSON.stringify(value)));
    checkProperty(
      fc.property(storable, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        expect(findJsonProblem(JSON.stringify(value, null, space))).toBeUndefined();
      }),
    );
  });

  it('an integer is refused or comes back digit by digit; up to 2^53 it passes', () => {
    checkProperty(
      fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (integer) => {
        const problem = findJsonProblem(`{"n":${integer}}`);
        if (problem === undefined) expect(toInteger(JSON.stringify(Number(integer)))).toBe(integer);
        if (Number.isSafeInteger(Number(integer))) expect(problem).toBeUndefined();
      }),
      5_000,
    );
  });
});

/** `1.5e+21` as the integer that it says. */
function toInteger(token: string): bigint {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e\+(\d+))?$/.exec(token) ?? [];
  return BigInt(`${sign}${whole}${fraction.padEnd(Number(power), '0')}`);
}
