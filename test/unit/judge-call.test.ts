// Judging one call is total: whatever schema, identity, amount and policy do, the model is told, or the mistake is named.
import { describe, expect, it } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { z } from 'zod';
import { inputFingerprint, parseStored } from '../../activities/effects/carried-input.ts';
import type { Policy } from '../../activities/policy/policy.ts';
import { createAgentRegistry } from '../../activities/runs/agent-registry.ts';
import { judgeFinal } from '../../activities/runs/final-answer.ts';
import { judgeTerms } from '../../activities/runs/judge-terms.ts';
import {
  type CallContext,
  type Proposal,
  proposeCall,
} from '../../activities/runs/propose-call.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { PolicyRequest } from '../../domain/rules/policy.ts';
import type { ModelAnswer } from '../../domain/rules/transcript.ts';
import { defineAgent } from '../../domain/schemas/define-agent.ts';
import {
  type AnyTool,
  defineTool,
  type EffectDeclaration,
} from '../../domain/schemas/define-tool.ts';
import { guarantee } from '../guarantee.ts';
import { oddThrows } from './odd-values.ts';
import { checkAsyncProperty } from './support-properties.ts';

// Odd values are what the types forbid.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AnyDeclaration = EffectDeclaration<any, any>;

function toolOf(input: z.ZodType, effect: AnyDeclaration): AnyTool {
  return defineTool<object, unknown>({
    name: 'pay',
    description: 'Pay.',
    input: input as z.ZodType<object>,
    output: z.unknown(),
    effect,
    run: () => Promise.resolve(null),
  });
}

const permit: Policy['evaluate'] = () => Promise.resolve({ kind: 'permit', rule: 'r' });

async function judge(
  tool: AnyTool,
  given: Json,
  evaluate: Policy['evaluate'] = permit,
): Promise<Proposal> {
  const model = { primary: 'test/m' };
  const agent = defineAgent({
    name: 'a',
    input: z.unknown(),
    instructions: '',
    tools: [tool],
    model,
  });
  const { agents } = await createAgentRegistry([agent]);
  const registered = agents.get('a');
  if (!registered) throw new Error('no agent');
  const context: CallContext = {
    registered: { ...registered, policy: { hash: 'h', evaluate } },
    address: { tenant: 't', rootKey: 'r', path: [], turn: 1, generation: 0 },
    runKey: 'r',
    requester: 'ada',
  };
  const part = { kind: 'tool-call', id: 'c1', name: 'pay', arguments: given } as const;
  return proposeCall(context, part, '0');
}

const money = z.object({ to: z.string() });

describe('what the code of a tool says of a call', () => {
  const round: unknown[] = [];
  round.push(round);

  it.each<[string, () => unknown, string]>([
    ['eur', () => ({ minor: 1, currency: 'eur' }), "{ minor: 1, currency: 'eur' }: `currency`"],
    ['Euro', () => ({ minor: 1, currency: 'Euro' }), '`currency` must be an ISO 4217 code'],
    ['10.5', () => ({ minor: 10.5, currency: 'EUR' }), '`minor` must be a whole number'],
    ['1e21', () => ({ minor: 1e21, currency: 'EUR' }), 'returned { minor: 1e+21'],
    ['NaN', () => ({ minor: Number.NaN, currency: 'EUR' }), 'returned { minor: NaN'],
    ['-1', () => ({ minor: -1, currency: 'EUR' }), 'returned { minor: -1'],
    ['a text', () => '12 EUR', "returned '12 EUR'"],
    ['nothing', () => undefined, 'returned undefined'],
    ['a promise', () => Promise.reject(new Error('late')), 'it may not be asynchronous'],
    [
      'a throw',
      () => {
        throw new RangeError('no rate');
      },
      'threw RangeError: no rate',
    ],
  ])('amount: %s → Code.Invalid, with tool, function and value', async (_name, amount, words) => {
    const tool = toolOf(money, { amount: amount as never });
    const failure = await judge(tool, { to: 'x' }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'Code.Invalid', nonRetryable: true });
    expect((failure as Error).message).toContain('Tool "pay": `amount`');
    expect((failure as Error).message).toContain(words);
  });

  it.each<[string, () => unknown, string]>([
    ['nothing', () => undefined, 'returned undefined: an identity is a list'],
    ['a text', () => 'INV-7', "returned 'INV-7'"],
    ['a hole', () => ['a', undefined], 'part 1 of an identity'],
    ['NaN', () => [Number.NaN], 'part 0 of an identity'],
    ['a function', () => [() => 1], 'part 0 of an identity'],
    ['a cycle', () => round, 'part 0 of an identity'],
    ['half a pair', () => ['\ud83d'], 'threw'],
    ['a promise', () => Promise.resolve(['a']), 'it may not be asynchronous'],
    [
      'a throw',
      () => {
        throw Object.create(null);
      },
      'threw a thrown value that cannot be read',
    ],
  ])('identity: %s → Code.Invalid', async (_name, identity, words) => {
    const tool = toolOf(money, { identity: identity as never });
    await expect(judge(tool, { to: 'x' })).rejects.toMatchObject({
      type: 'Code.Invalid',
      nonRetryable: true,
      message: expect.stringContaining(words),
    });
  });

  it('a summary that is cut inside of an emoji → one that can be stored', () => {
    const tool = toolOf(money, { identity: () => [`${'x'.repeat(115)}😀😀`] });
    const { summary } = judgeTerms(tool, { to: 'x' });
    expect(Buffer.from(summary, 'utf8').toString('utf8')).toBe(summary);
  });
});

describe('a call under its schema', () => {
  guarantee('one-input', 'identity, amount and policy → see what run will see', async () => {
    const seen: unknown[] = [];
    const input = z.object({
      cents: z.string().transform(Number),
      due: z.coerce.date(),
      tags: z.array(z.string()).transform((tags) => new Set(tags)),
      big: z.coerce.bigint(),
      currency: z.string().default('EUR'),
    });
    const note = (given: unknown): void => void seen.push(given);
    const tool = toolOf(input, {
      identity: (given) => (note(given), ['x', given.cents]),
      amount: (given) => (note(given), { minor: given.cents, currency: given.currency }),
    });
    let asked: PolicyRequest | undefined;
    const given = { cents: '500', due: '2026-11-30', tags: ['a', 'a'], big: '7' };
    const { intent } = await judge(tool, given, (request) => {
      asked = request;
      return permit(request);
    });
    const value = {
      ...{
        cents: 500,
        due: new Date('2026-11-30'),
        tags: new Set(['a']),
        big: 7n,
        currency: 'EUR',
      },
    };
    expect(seen).toEqual([value, value]);
    expect(asked?.arguments).toEqual({
      ...{ cents: 500, due: '2026-11-30T00:00:00.000Z', tags: ['a'], big: 7, currency: 'EUR' },
    });
    expect(intent).toMatchObject({ arguments: given, amount: { minor: 500, currency: 'EUR' } });
  });

  it('an asynchronous check → awaited, and told to the model', async () => {
    const known = z.string().refine((to) => Promise.resolve(to === 'ada'), 'is no payee');
    const tool = toolOf(z.object({ to: known }), {});
    expect((await judge(tool, { to: 'ada' })).proposed.verdict).toBe('permit');
    expect((await judge(tool, { to: 'bob' })).refusal).toEqual({
      code: 'invalid_arguments',
      message: 'to: is no payee',
    });
  });

  it('a policy that throws → a no that names the cause', async () => {
    const failing = (): never => {
      throw new RangeError('too deep');
    };
    const { proposed, refusal } = await judge(toolOf(money, {}), { to: 'x' }, failing);
    expect(proposed).toMatchObject({ verdict: 'forbid', rule: 'pawl:policy-failed' });
    expect(refusal?.message).toBe('the policy cannot judge this call: too deep');
  });

  guarantee(
    'judging-is-total',
    'any schema, code, policy and arguments → told, or Code.Invalid',
    () => {
      const throws = (make: () => unknown) => (): never => {
        throw make();
      };
      const schemas = (make: () => unknown): readonly z.ZodType[] => [
        money,
        money.refine(throws(make)),
        money.transform(throws(make)),
        money.transform(() => make()),
        z.object({ to: z.preprocess(throws(make), z.string()) }),
        z.object({ to: z.unknown().transform(() => Promise.reject(make())) }),
        z.looseObject({}),
      ];
      const codes = (make: () => unknown): readonly AnyDeclaration[] => [
        {},
        { identity: throws(make) },
        { amount: throws(make) },
        { identity: make as never },
        { amount: make as never },
        { identity: () => [make() as never] },
        { amount: () => ({ minor: make() as never, currency: 'EUR' }) },
      ];
      return checkAsyncProperty(
        fc.asyncProperty(
          oddThrows,
          fc.nat(6),
          fc.nat(6),
          fc.boolean(),
          fc.oneof(fc.constant({ to: 'x' }), fc.jsonValue({ maxDepth: 4 })),
          async (make, schema, code, isPolicyOdd, given) => {
            const input = schemas(make)[schema] ?? money;
            const tool = toolOf(input, codes(make)[code] ?? {});
            try {
              const judged = await judge(tool, given as Json, isPolicyOdd ? throws(make) : permit);
              expect(['permit', 'forbid', 'invalid']).toContain(judged.proposed.verdict);
              expect(() => JSON.stringify(judged)).not.toThrow();
            } catch (error) {
              expect(error).toMatchObject({ type: 'Code.Invalid', nonRetryable: true });
            }
          },
        ),
        200,
      );
    },
  );
});

describe('a final answer under a schema of an agent', () => {
  const said = (text: string): ModelAnswer => ({
    parts: [{ kind: 'text', text }],
    stopReason: 'end',
    servedModel: 'm',
    usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0 },
  });

  async function judgeAnswer(output: z.ZodType, text: string) {
    const model = { primary: 'test/m' };
    const agent = defineAgent({
      ...{ name: 'a', input: z.unknown(), output, instructions: '', tools: [], model },
    });
    const registered = (await createAgentRegistry([agent])).agents.get('a');
    if (!registered) throw new Error('no agent');
    return judgeFinal(registered, said(text));
  }

  it('an asynchronous check, a default → awaited, filled in', async () => {
    const output = z.object({
      a: z.string().refine((a) => Promise.resolve(a === 'x'), 'is wrong'),
    });
    expect(await judgeAnswer(output, '{"a":"x"}')).toEqual({ isValid: true });
    expect(await judgeAnswer(output, '{"a":"y"}')).toEqual({
      isValid: false,
      problem: 'a: is wrong',
    });
    const lenient = z.object({ a: z.string().default('x') });
    expect(await judgeAnswer(lenient, '{}')).toEqual({ isValid: true });
  });

  guarantee(
    'judging-is-total',
    'a refine or transform that throws anything → told, and counted',
    () =>
      checkAsyncProperty(
        fc.asyncProperty(oddThrows, fc.boolean(), async (make, isTransform) => {
          const throws = (): never => {
            throw make();
          };
          const output = isTransform ? z.unknown().transform(throws) : z.unknown().refine(throws);
          expect(await judgeAnswer(output, '{}')).toMatchObject({
            isValid: false,
            problem: expect.stringContaining('a check of the schema failed'),
          });
        }),
        100,
      ),
  );
});

describe('what a compensation is given', () => {
  it('any stored output, under any output schema → as it is: a fact is not judged again', () => {
    const tool = defineTool({
      name: 'pay',
      description: 'Pay.',
      input: z.object({ cents: z.string().transform(Number) }),
      output: z.strictObject({ id: z.uuid() }),
      run: () => Promise.reject(new Error('no run')),
      compensate: () => Promise.resolve(),
    });
    const schema = tool.compensation?.input ?? z.never();
    return checkAsyncProperty(
      fc.asyncProperty(fc.jsonValue(), async (output) => {
        const done = { input: { cents: '5' }, output } as Json;
        expect(
          await parseStored(schema, { arguments: done, fingerprint: inputFingerprint(done) }),
        ).toMatchObject({ kind: 'valid', value: { input: { cents: 5 }, output } });
      }),
      100,
    );
  });
});
