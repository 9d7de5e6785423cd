// What defineTool and defineAgent take for a schema: what JSON cannot carry is refused at start, with a sentence.
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { z as older } from 'zod/v3';
import * as mini from 'zod/mini';
import { describeTool } from '../../activities/runs/agent-registry.ts';
import { requireArguments } from '../../domain/schemas/check-schema.ts';
import { defineAgent } from '../../domain/schemas/define-agent.ts';
import { defineTool } from '../../domain/schemas/define-tool.ts';

const object = z.object({ a: z.string() });

function define(input: unknown, output: unknown = z.unknown()) {
  return defineTool({
    name: 'pay',
    description: 'Pay.',
    input: input as typeof object,
    output: output as z.ZodType,
    run: () => Promise.resolve(null),
  });
}

function agent(input: unknown, output?: unknown) {
  const schemas = { input: input as z.ZodType, ...(output ? { output: output as z.ZodType } : {}) };
  return defineAgent({
    name: 'a',
    ...schemas,
    instructions: '',
    tools: [],
    model: { primary: 'a/b' },
  });
}

describe('the input of a tool', () => {
  it.each<[string, unknown]>([
    ['defaults', z.object({ a: z.string().default('x') })],
    ['coerced', z.object({ d: z.coerce.date(), n: z.coerce.bigint() })],
    ['a transform to a Set', z.object({ s: z.array(z.string()).transform((s) => new Set(s)) })],
    ['a transformed root', object.transform(({ a }) => a)],
    ['a preprocessed root', z.preprocess((given) => given, object)],
    [
      'a preprocessed Set',
      z.object({ s: z.preprocess((s) => new Set(s as []), z.set(z.string())) }),
    ],
    ['a record', z.record(z.string(), z.number())],
    ['an intersection', z.intersection(object, z.object({ b: z.string() }))],
    [
      'a codec',
      z.object({
        d: z.codec(z.iso.datetime(), z.date(), {
          decode: (s) => new Date(s),
          encode: (d) => d.toISOString(),
        }),
      }),
    ],
    ['a union inside, one of them a Date', z.object({ d: z.union([z.iso.date(), z.date()]) })],
    [
      'recursive',
      z.object({
        get next() {
          return z.optional(object);
        },
      }),
    ],
    ['zod/mini', mini.object({ a: mini.string() })],
    ['asynchronous', object.refine(() => Promise.resolve(true))],
  ])('%s → taken, and an object for the model', (_name, input) => {
    expect(describeTool(define(input)).inputSchema).toMatchObject({ type: 'object' });
  });

  const root = (what: string) =>
    `has no object at its root (${what}), and models call with named arguments: wrap it, as in z.object({ value: … })`;
  it.each<[string, unknown, string]>([
    ['a union', z.union([object, z.object({ b: z.string() })]), root('anyOf')],
    [
      'a discriminated union',
      z.discriminatedUnion('k', [z.object({ k: z.literal('a') })]),
      root('oneOf'),
    ],
    ['a string', z.string(), root('string')],
    ['an array', z.array(object), root('array')],
    ['a nullable object', object.nullable(), root('anyOf')],
    ['anything', z.unknown(), root('no type')],
    [
      'zod 3',
      older.object({}),
      " is a schema of zod 3: import z from version 4 of zod, not from 'zod/v3'",
    ],
    ['zod 3 inside', z.object({ a: older.string() as never }), ' at a is a schema of zod 3'],
    ['no schema', { type: 'object' }, ' is no zod schema'],
    ['nothing', undefined, ' is no zod schema'],
  ])('%s → refused', (_name, input, words) => {
    expect(() => define(input)).toThrow(TypeError);
    expect(() => define(input)).toThrow(`Tool "pay": \`input\``);
    expect(() => define(input)).toThrow(words);
  });

  it.each<[string, z.ZodType, string]>([
    ['a Date', z.date(), 'is a date, which JSON cannot carry: write z.coerce.date()'],
    ['an optional Date', z.date().optional(), 'is a date'],
    ['a bigint', z.bigint(), 'is a bigint, which JSON cannot carry: write z.coerce.bigint()'],
    ['a Set', z.set(z.string()), 'is a set, which JSON cannot carry: write z.array(…)'],
    [
      'a Map',
      z.map(z.string(), z.string()),
      'is a map, which JSON cannot carry: write z.record(…)',
    ],
    ['an instance', z.instanceof(Buffer), 'is a custom, which JSON cannot carry'],
    ['a symbol', z.symbol(), 'is a symbol'],
    ['NaN', z.nan(), 'is a nan'],
    ['one of two', z.union([z.date(), z.bigint()]), 'is a date'],
  ])('%s somewhere in it → refused, with its place and what to write', (_name, schema, words) => {
    for (const [input, place] of [
      [z.object({ m: schema }), 'm'],
      [z.object({ m: z.array(schema) }), 'm.0'],
      [z.object({ m: z.tuple([z.string(), schema]) }), 'm.1'],
      [z.object({ m: z.record(z.string(), schema) }), 'm.*'],
      [z.object({ m: z.lazy(() => z.object({ n: schema })) }), 'm.n'],
      [z.object({ m: schema }).transform((all) => all), 'm'],
    ] as const) {
      expect(() => requireArguments('X', input)).toThrow(`X at ${place} `);
      expect(() => requireArguments('X', input)).toThrow(words);
    }
  });
});

describe('the output of a tool', () => {
  it.each([z.void(), z.undefined(), z.null(), z.string(), z.array(object), z.coerce.date()])(
    '%p → taken',
    (output) => {
      expect(() => define(object, output)).not.toThrow();
    },
  );

  it.each([z.date(), z.map(z.string(), z.string()), z.set(z.string()), z.bigint()])(
    '%p → refused',
    (output) => {
      expect(() => define(object, output)).toThrow(/^Tool "pay": `output` is a .*, which JSON/);
    },
  );
});

describe('the schemas of an agent', () => {
  it('a text as input, a list as output → taken', () => {
    expect(() => agent(z.string(), z.array(z.string()))).not.toThrow();
  });

  it.each([
    [z.object({ d: z.date() }), undefined, 'Agent "a": `input` at d is a date'],
    [older.string(), undefined, 'Agent "a": `input` is a schema of zod 3'],
    [object, z.map(z.string(), z.string()), 'Agent "a": `output` is a map'],
    [object, z.void(), 'Agent "a": `output` is void: no answer matches it'],
  ])('%p, %p → refused', (input, output, words) => {
    expect(() => agent(input, output)).toThrow(words);
  });
});
