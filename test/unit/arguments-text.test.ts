// Arguments as models write them: kept exactly, or malformed with the place.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ARGUMENTS_DEPTH_MAX, readArguments } from '../../activities/models/arguments-text.ts';
import { toCallPart } from '../../activities/models/reported.ts';
import { guarantee } from '../guarantee.ts';
import { checkProperty } from './support-properties.ts';

const nested = (depth: number): string => `${'{"a":['.repeat(depth / 2)}${']}'.repeat(depth / 2)}`;

describe('arguments that a value keeps exactly', () => {
  it.each([
    ['nothing at all', '', {}],
    ['blanks', ' \n', {}],
    ['a decimal fraction', '{"a":0.1}', { a: 0.1 }],
    ['one number in other ways', '[1.50e3,1500.0,15E2]', [1500, 1500, 1500]],
    ['zeros', '[0,-0,0.0,0e9]', [0, -0, 0, 0]],
    [
      'the largest safe integers',
      '[9007199254740991,-9007199254740991]',
      [2 ** 53 - 1, 1 - 2 ** 53],
    ],
    ['a double of 17 digits', '0.30000000000000004', 0.30000000000000004],
    [
      'the largest and the smallest double',
      '[1.7976931348623157e308,5e-324]',
      [Number.MAX_VALUE, Number.MIN_VALUE],
    ],
    ['pairs of surrogates', '{"\\ud83d\\ude00":"😀"}', { '😀': '😀' }],
    ['escapes before quotes', '{"a\\\\":"\\"b\\\\\\""}', { 'a\\': '"b\\"' }],
    ['one key in two objects', '[{"a":1},{"a":1}]', [{ a: 1 }, { a: 1 }]],
    ['nesting up to the limit', nested(ARGUMENTS_DEPTH_MAX), JSON.parse(nested(100))],
  ])('%s → the value', (_case, text, value) => {
    expect(readArguments(text)).toEqual({ kind: 'value', value });
  });
});

describe('arguments that no value keeps', () => {
  guarantee.each('arguments-exact', [
    [
      'an integer above 2^53',
      '{"items":[{},{"id":9007199254740993}]}',
      'items.1.id: the number 9007199254740993',
    ],
    ['an even integer above 2^53', '{"id":9007199254740994}', 'id: the number'],
    ['a number beyond all doubles', '{"a":{"b":1e400}}', 'a.b: the number 1e400'],
    ['a number that would become 0', '[0,-1e-400]', '1: the number -1e-400'],
    ['more digits than a double has', '{"a":0.12345678901234567890}', 'a: the number'],
    ['half of a pair', '{"a":["x","\\ud83d"]}', 'a.1: the text holds half of a surrogate pair'],
    ['half of a pair in a key', '{"a":{"\\udc00":1}}', 'half of a surrogate pair'],
    ['a NUL', '{"a":"\\u0000"}', 'a: the text holds a NUL'],
    ['a key twice', '{"to":{"iban":"A","iban":"B"}}', 'to.iban: this key is there twice'],
    ['a key twice, once escaped', '{"a":1,"\\u0061":2}', 'a: this key is there twice'],
    [
      'the key __proto__',
      '{"a":{"__proto__":{"isAdmin":true}}}',
      'a.__proto__: a key must not be named',
    ],
    ['101 levels', nested(102), 'nested deeper than 100 levels'],
    ['6,000 levels', nested(6_000), 'nested deeper than 100 levels'],
    ['a number of 100,000 digits', `[${'9'.repeat(100_000)}]`, '0: the number 9999'],
  ] as const)('%s → malformed, with the place', (_case, text, problem) => {
    const read = readArguments(text);
    expect(read).toEqual({ kind: 'malformed', problem: expect.stringContaining(problem) });
    expect(JSON.stringify(read).length).toBeLessThan(600);
  });

  it.each(['{"a":', 'null null', '{a:1}', '\ufeff{}', '{"a":01}', '{"a":"\u0001"}'])(
    '%j → malformed, no place',
    (text) => {
      expect(readArguments(text)).toEqual({ kind: 'malformed' });
    },
  );

  it('a malformed text of any length → 4,000 letters of it are kept', () => {
    const part = toCallPart({ id: 'a', name: 'pay' }, `{"a":"${'x'.repeat(1_000_000)}`);
    expect(part.malformed).toHaveLength(4_001);
    expect(part.arguments).toBeNull();
  });
});

describe('any arguments', () => {
  guarantee(
    'arguments-exact',
    'any JSON that is read → it says what was written, key by key',
    () => {
      checkProperty(
        fc.property(fc.json({ maxDepth: 6 }), (text) => {
          const read = readArguments(text);
          if (read.kind === 'malformed')
            return /twice|__proto__|rounded|NUL|pair/.test(read.problem ?? '');
          return JSON.stringify(read.value) === JSON.stringify(JSON.parse(text));
        }),
      );
    },
  );

  guarantee('arguments-exact', 'any integer → kept digit by digit, or malformed', () => {
    checkProperty(
      fc.property(fc.bigInt(), fc.nat(20), (integer, zeros) => {
        const text = `{"a":${integer}${'0'.repeat(integer === 0n ? 0 : zeros)}}`;
        const read = readArguments(text);
        return read.kind === 'malformed' || JSON.stringify(read.value) === text;
      }),
    );
  });

  guarantee('arguments-exact', 'any double as it is printed → kept', () => {
    checkProperty(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (double) => {
        const isUnsafe = /^-?\d+$/.test(String(double)) && !Number.isSafeInteger(double);
        return (readArguments(`[${String(double)}]`).kind === 'malformed') === isUnsafe;
      }),
    );
  });

  it('any text → a value or malformed, never an error', () => {
    checkProperty(
      fc.property(fc.string({ unit: 'binary' }), (text) =>
        ['value', 'malformed'].includes(readArguments(text).kind),
      ),
    );
  });
});
