// The one form of a tool's input: what is stored parses to what the tool is run with, whatever the schema makes of it.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import {
  carryInput,
  inputFingerprint,
  parseStored,
} from '../../activities/effects/carried-input.ts';
import { fingerprint, toJson } from '../../activities/effects/fingerprint.ts';
import { toPlainJson } from '../../activities/effects/plain-json.ts';
import type { Json } from '../../domain/rules/json.ts';
import { guarantee } from '../guarantee.ts';
import { checkAsyncProperty, checkProperty } from './support-properties.ts';

/** Stored and parsed again, as at a send. */
async function carry(schema: z.ZodType, given: Json) {
  const carried = await carryInput(schema, given);
  if (carried.kind !== 'valid') throw new Error(carried.problem);
  const stored = JSON.parse(JSON.stringify(carried.stored)) as Json;
  const sent = await parseStored(schema, { arguments: stored, fingerprint: carried.fingerprint });
  return { carried, sent };
}

const at = '2026-11-30T00:00:00.000Z';

describe('an input that is carried', () => {
  it.each<[string, z.ZodType, Json, unknown, Json]>([
    ['as it is', z.object({ n: z.number() }), { n: 1 }, { n: 1 }, { n: 1 }],
    ['a default', z.object({ n: z.number().default(7) }), {}, { n: 7 }, { n: 7 }],
    ['an unknown member', z.object({ n: z.number() }), { n: 1, x: 2 }, { n: 1 }, { n: 1 }],
    [
      'a Date',
      z.object({ d: z.coerce.date() }),
      { d: '2026-11-30' },
      { d: new Date(at) },
      { d: at },
    ],
    [
      'a bigint',
      z.object({ n: z.coerce.bigint() }),
      { n: '9007199254740993' },
      { n: 9007199254740993n },
      { n: '9007199254740993' },
    ],
    [
      'text to number',
      z.object({ n: z.string().transform(Number) }),
      { n: '5' },
      { n: 5 },
      { n: '5' },
    ],
    [
      'euro to cents',
      z.object({ n: z.number().transform((n) => n * 100) }),
      { n: 5 },
      { n: 500 },
      { n: 5 },
    ],
    [
      'a Set',
      z.object({ s: z.array(z.string()).transform((s) => new Set(s)) }),
      { s: ['a'] },
      { s: new Set(['a']) },
      { s: ['a'] },
    ],
    ['the whole', z.object({ a: z.string() }).transform(({ a }) => a), { a: 'x' }, 'x', { a: 'x' }],
    [
      'asynchronous',
      z.object({ a: z.string().transform((a) => Promise.resolve(`${a}!`)) }),
      { a: 'x' },
      { a: 'x!' },
      { a: 'x' },
    ],
  ])(
    '%s → run and identity see one value, the ledger an input',
    async (_name, schema, given, value, stored) => {
      const { carried, sent } = await carry(schema, given);
      expect(carried).toMatchObject({ value, stored });
      expect(sent).toMatchObject({ kind: 'valid', value });
    },
  );

  it('a schema without transforms → the fingerprint that older builds have stored', () => {
    const input = z.object({
      a: z.string(),
      n: z.number().default(3),
      list: z.array(z.object({ b: z.boolean() })).optional(),
    });
    return checkAsyncProperty(
      fc.asyncProperty(
        fc.record(
          {
            a: fc.string(),
            n: fc.integer(),
            list: fc.array(fc.record({ b: fc.boolean() })),
            x: fc.jsonValue(),
          },
          { requiredKeys: ['a'] },
        ),
        async (given) => {
          const carried = await carryInput(input, given as Json);
          const before = fingerprint(toJson(input.parse(given)));
          expect(carried).toMatchObject({ kind: 'valid', fingerprint: before });
        },
      ),
      300,
    );
  });

  it('a transform → another fingerprint, and the one of older builds beside it', async () => {
    const schema = z.object({ n: z.number().transform((n) => n * 100) });
    expect(await carryInput(schema, { n: 5 })).toMatchObject({
      fingerprint: inputFingerprint({ n: 5 }),
      olderFingerprint: fingerprint({ n: 500 }),
    });
  });

  it('stored by an older build, which stored what came out → not transformed once more', async () => {
    const schema = z.object({ n: z.number().transform((n) => n * 100) });
    const stored = { n: 500 };
    expect(
      await parseStored(schema, { arguments: stored, fingerprint: fingerprint(stored) }),
    ).toMatchObject({ kind: 'valid', value: stored });
  });

  it('a value that holds itself → said, not thrown', async () => {
    const schema = z.object({}).transform(() => {
      const ring: Record<string, unknown> = {};
      ring['self'] = ring;
      return ring;
    });
    expect(await carryInput(schema, {})).toMatchObject({ kind: 'threw' });
  });

  guarantee(
    'one-input',
    'any value under any schema → what is stored parses to what was judged',
    () => {
      const members: readonly [z.ZodType, fc.Arbitrary<Json>][] = [
        [z.string().trim().toLowerCase(), fc.string()],
        [z.string().transform(Number), fc.integer().map(String)],
        [z.number().transform((n) => n + 1), fc.integer()],
        [z.coerce.date(), fc.date({ noInvalidDate: true }).map((date) => date.toISOString())],
        [z.coerce.date(), fc.integer({ min: 0, max: 4e12 })],
        [z.coerce.bigint(), fc.bigInt().map(String)],
        [z.coerce.number(), fc.integer().map(String)],
        [z.array(z.string()).transform((list) => new Set(list)), fc.array(fc.string())],
        [
          z.record(z.string(), z.number()).transform((all) => new Map(Object.entries(all))),
          fc.dictionary(fc.string(), fc.integer()),
        ],
        [z.preprocess((text) => String(text), z.string()), fc.oneof(fc.integer(), fc.string())],
        [z.string().transform((text) => `${text}!`), fc.string()],
        [z.stringbool(), fc.constantFrom('yes', 'no', 'true', '0')],
        [z.json(), fc.jsonValue() as fc.Arbitrary<Json>],
        [
          z.union([z.number(), z.string().transform((s) => s.length)]),
          fc.oneof(fc.integer(), fc.string()),
        ],
      ];
      const generated = fc
        .array(fc.integer({ min: 0, max: members.length - 1 }), { minLength: 1, maxLength: 4 })
        .chain((picks) => {
          const picked = picks.flatMap((pick) => members.slice(pick, pick + 1));
          const schema = z.object(
            Object.fromEntries(picked.map(([member], index) => [`m${index}`, member])),
          );
          const given = fc.record(
            Object.fromEntries(picked.map(([, value], index) => [`m${index}`, value])),
          );
          return fc.tuple(fc.constant(schema), given);
        });
      return checkAsyncProperty(
        fc.asyncProperty(generated, async ([schema, given]) => {
          const { carried, sent } = await carry(schema, given as Json);
          expect(sent).toEqual({ kind: 'valid', value: carried.value, shown: carried.shown });
        }),
        300,
      );
    },
  );
});

describe('a parsed value as JSON', () => {
  it.each<[unknown, Json]>([
    [{ a: undefined, b: () => 1, c: Symbol('s') }, {}],
    [
      [undefined, () => 1],
      [null, null],
    ],
    [new Date(at), at],
    [new Date(Number.NaN), null],
    [12n, 12],
    [9007199254740993n, '9007199254740993'],
    [
      [Number.NaN, Infinity, -0],
      ['NaN', 'Infinity', 0],
    ],
    [new Set([1, new Set([2])]), [1, [2]]],
    [new Map([['a', 1n]]), { a: 1 }],
    [new Map([[1, 'a']]), [[1, 'a']]],
    [undefined, null],
  ])('%p → %j', (value, json) => {
    expect(toPlainJson(value)).toEqual(json);
  });

  it('any JSON → itself', () => {
    checkProperty(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.stringify(toPlainJson(value))).toBe(JSON.stringify(value));
      }),
      300,
    );
  });
});
