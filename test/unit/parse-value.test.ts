// A value under a user's schema: asynchronous, throwing and endless checks all end in an answer.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { parseValue } from '../../activities/effects/parse-value.ts';
import { outputProblem } from '../../activities/effects/tool-run.ts';
import type { Json } from '../../domain/rules/json.ts';
import { guarantee } from '../guarantee.ts';
import { oddThrows } from './odd-values.ts';
import { checkAsyncProperty } from './support-properties.ts';

const throwing = (make: () => unknown) => (): never => {
  throw make();
};

describe('a value under a schema', () => {
  it('an asynchronous refine or transform → awaited', async () => {
    const schema = z.object({
      id: z.string().refine((id) => Promise.resolve(id === 'a'), 'is unknown'),
      n: z.string().transform((n) => Promise.resolve(Number(n))),
    });
    expect(await parseValue(schema, { id: 'a', n: '7' })).toEqual({
      kind: 'valid',
      value: { id: 'a', n: 7 },
    });
    expect(await parseValue(schema, { id: 'b', n: '7' })).toEqual({
      kind: 'invalid',
      problem: 'id: is unknown',
    });
  });

  guarantee(
    'judging-is-total',
    'a refine, transform or preprocess that throws anything → said, never thrown',
    async () => {
      const kinds = [
        (thrown: () => unknown) => z.string().refine(throwing(thrown)),
        (thrown: () => unknown) => z.string().transform(throwing(thrown)),
        (thrown: () => unknown) => z.preprocess(throwing(thrown), z.string()),
        (thrown: () => unknown) =>
          z.string().refine(() => Promise.resolve().then(throwing(thrown))),
      ];
      await checkAsyncProperty(
        fc.asyncProperty(oddThrows, fc.constantFrom(...kinds), async (thrown, make) => {
          expect((await parseValue(make(thrown), 'x')).kind).toBe('threw');
        }),
        300,
      );
    },
  );

  it('a value that is too deep for the stack → said', async () => {
    let deep: unknown = 1;
    for (let depth = 0; depth < 50_000; depth += 1) deep = [deep];
    expect((await parseValue(z.json(), deep)).kind).toBe('threw');
  });

  it('ten thousand issues → twenty and a number', async () => {
    const parsed = await parseValue(
      z.array(z.number()),
      Array.from({ length: 10_000 }, () => 'x'),
    );
    expect(parsed).toMatchObject({ problem: expect.stringMatching(/^0: .*; and 9980 more$/s) });
  });

  it('a member named by a symbol in the path of an issue → said', async () => {
    const schema = z.string().superRefine((_, context) => {
      context.addIssue({ code: 'custom', message: 'no', path: [Symbol('s')] });
    });
    expect(await parseValue(schema, 'x')).toEqual({ kind: 'invalid', problem: 'Symbol(s): no' });
  });
});

describe('the output of a tool under its schema', () => {
  it.each([
    ['void', z.void()],
    ['undefined', z.undefined()],
    ['optional', z.string().optional()],
    ['null', z.null()],
  ])('%s and nothing returned → right', async (_name, output) => {
    expect(await outputProblem({ output }, null)).toBeUndefined();
  });

  it('nothing returned where a text was promised → the problem', async () => {
    expect(await outputProblem({ output: z.string() }, null)).toBe(
      'output: Invalid input: expected string, received null',
    );
  });

  it('any output under any throwing schema → a problem, never a throw', () => {
    return checkAsyncProperty(
      fc.asyncProperty(oddThrows, fc.jsonValue(), async (thrown, output) => {
        const schema = z.unknown().refine(throwing(thrown));
        expect(typeof (await outputProblem({ output: schema }, output as Json))).toBe('string');
      }),
      300,
    );
  });
});
