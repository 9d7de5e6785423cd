// The hashes of the ledger: canonical JSON (RFC 8785), wire keys and short ids.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  canonicalJson,
  fingerprint,
  shortId,
  toJson,
  wireKey,
} from '../../activities/effects/fingerprint.ts';
import { checkProperty } from './support-properties.ts';
import { guarantee } from '../guarantee.ts';

const SECRET = Buffer.from('00'.repeat(32), 'hex');

describe('canonical JSON', () => {
  it.each([
    // RFC 8785, section 3.2.3: keys by UTF-16 code units.
    [
      {
        '\u20ac': 'Euro',
        '\r': 'CR',
        '\ufb33': 'Dalet',
        '1': 'One',
        '\ud83d\ude00': 'Smile',
        '\u0080': 'Control',
        '\u00f6': 'o',
      },
      '{"\\r":"CR","1":"One","\u0080":"Control","\u00f6":"o","\u20ac":"Euro","\ud83d\ude00":"Smile","\ufb33":"Dalet"}',
    ],
    // RFC 8785, section 3.2.2.
    [
      {
        numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
        string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
        literals: [null, true, false],
      },
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ],
    [-0, '0'],
    [{ b: { d: 1, c: 2 }, a: [] }, '{"a":[],"b":{"c":2,"d":1}}'],
    ['', '""'],
  ])('%j → as RFC 8785 says', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it('undefined is no value → refused, never the hash of null', () => {
    const error = new TypeError('undefined has no canonical JSON');
    expect(() => fingerprint(undefined)).toThrow(error);
    expect(() => fingerprint(() => 1)).toThrow(error);
  });

  it('a missing member, null, false, 0 and "" → five fingerprints', () => {
    const values = [{}, { a: null }, { a: false }, { a: 0 }, { a: '' }];
    expect(new Set(values.map(fingerprint)).size).toBe(5);
    expect(fingerprint({ a: undefined })).toBe(fingerprint({}));
  });

  it.each([
    ['NaN', Number.NaN],
    ['Infinity', [Infinity]],
    ['a bigint', { a: 1n }],
    ['a lone surrogate', '\ud800'],
  ])('%s → refused: JSON cannot hold it', (_name, value) => {
    expect(() => fingerprint(value)).toThrow(
      /NaN is not allowed|Infinity is not allowed|BigInt|Lone surrogate is not allowed/,
    );
  });

  it('any JSON → the same fingerprint whatever the order of its keys, and after a round trip', () => {
    const reverse = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reverse);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([k, v]) => [k, reverse(v)]),
      );
    };
    const json = fc.jsonValue({ noUnicodeString: false, stringUnit: 'grapheme' });
    checkProperty(
      fc.property(json, (value) => {
        const print = fingerprint(value);
        return (
          print === fingerprint(reverse(value)) &&
          print === fingerprint(JSON.parse(JSON.stringify(value)))
        );
      }),
    );
  });

  it('the fingerprint of {} → this very hash: stored ones must be found again', () => {
    expect(fingerprint({})).toBe(
      '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
    );
  });
});

describe('the wire key', () => {
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  guarantee(
    'law-01-ids',
    'an effect id → this very key: a build that derives another one pays twice',
    () => {
      expect(wireKey(SECRET, '["acme","run_1",1,"0",0]')).toBe(
        '6589092c-a9f3-8ddc-aa8f-2487a2eb8376',
      );
    },
  );

  it('any id → UUID-shaped (version 8), stable, 36 characters', () => {
    checkProperty(
      fc.property(
        fc.string(),
        (id) => UUID.test(wireKey(SECRET, id)) && wireKey(SECRET, id) === wireKey(SECRET, id),
      ),
    );
  });

  it('two ids, or two ledgers → two keys', () => {
    checkProperty(
      fc.property(
        fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 2 }),
        ([one = '', other = '']) => {
          const elsewhere = Buffer.from('11'.repeat(32), 'hex');
          const keys = [wireKey(SECRET, one), wireKey(SECRET, other), wireKey(elsewhere, one)];
          return new Set(keys).size === 3;
        },
      ),
    );
  });
});

describe('short ids', () => {
  it('an effect id → ef_ and 16 letters that cannot be misread; stable', () => {
    expect(shortId('ef', '["acme","run_1",1,"0",0]')).toBe('ef_31nsvf06ghcg7whe');
    checkProperty(
      fc.property(fc.string(), (id) => /^ef_[0-9a-hjkmnp-tv-z]{16}$/.test(shortId('ef', id))),
    );
  });

  it('10,000 neighbouring ids → 10,000 short ids', () => {
    const ids = Array.from({ length: 10_000 }, (_, call) =>
      shortId('ap', `["t","r",1,"${call}",0]`),
    );
    expect(new Set(ids).size).toBe(10_000);
  });
});

describe('toJson', () => {
  it.each([
    [undefined, null],
    [
      { a: undefined, b: new Date(0), c: Number.NaN },
      { b: '1970-01-01T00:00:00.000Z', c: null },
    ],
    [
      [undefined, 1],
      [null, 1],
    ],
  ])('%p → what JSON makes of it', (value, json) => {
    expect(toJson(value)).toEqual(json);
  });
});
