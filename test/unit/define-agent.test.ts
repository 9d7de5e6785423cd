// defineAgent: the configuration of S1-03 word for word, the defaults, and each error.
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import {
  type AgentOptions,
  defineAgent,
  modelConfigSchema,
} from '../../domain/schemas/define-agent.ts';
import { defineTool } from '../../domain/schemas/define-tool.ts';
import { guarantee } from '../guarantee.ts';

type Options = AgentOptions<{ ticket: string }, string>;

const tool = (name: string) =>
  defineTool({
    name,
    description: name,
    input: z.object({}),
    output: z.string(),
    run: () => Promise.resolve('done'),
  });
const base: Options = {
  name: 'support',
  input: z.object({ ticket: z.string() }),
  instructions: 'Help.',
  tools: [tool('refund'), tool('mail')],
  model: { primary: 'anthropic/claude-opus-4-6' },
};
const define = (change: Partial<Options>) =>
  defineAgent<{ ticket: string }, string>({ ...base, ...change });

/** The issues of the ZodError that a declaration throws, as `path: message`. */
function issuesOf(change: Partial<Options>): string[] {
  try {
    define(change);
  } catch (error) {
    if (error instanceof z.ZodError) {
      return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    }
    throw error;
  }
  throw new Error('The declaration was accepted.');
}

describe('the model of an agent', () => {
  // S1-03: the literal document of the seed.
  const document = JSON.parse(
    '{"agents":{"defaults":{"model":{"primary":"anthropic/claude-opus-4-6","fallbacks":["openai-codex/gpt-5.3-codex"]}}}}',
  ) as { agents: { defaults: { model: Options['model'] } } };

  guarantee('S1-03', 'the literal JSON of S1-03 → exactly this model, in this order', () => {
    const { model } = document.agents.defaults;
    expect(modelConfigSchema.parse(model)).toEqual(model);
    expect(define({ model }).model).toEqual({
      primary: 'anthropic/claude-opus-4-6',
      fallbacks: ['openai-codex/gpt-5.3-codex'],
    });
  });

  it('no fallbacks → an empty list', () => {
    expect(define({}).model.fallbacks).toEqual([]);
  });

  it.each([
    [
      { primary: 'claude' },
      'primary: a model is written provider/model, as in "anthropic/claude-sonnet-5-5"',
    ],
    [
      { primary: 'a/b', fallbacks: ['a/b', 'gpt'] },
      'fallbacks.1: a model is written provider/model, as in "anthropic/claude-sonnet-5-5"',
    ],
    [
      { primary: '/b' },
      'primary: a model is written provider/model, as in "anthropic/claude-sonnet-5-5"',
    ],
    [
      { primary: 'a/' },
      'primary: a model is written provider/model, as in "anthropic/claude-sonnet-5-5"',
    ],
  ])('%j → the issue names the path and the form', (model, issue) => {
    expect(issuesOf({ model })).toEqual([issue]);
  });

  guarantee('S1-03', 'an unknown field → named', () => {
    const model = { primary: 'a/b', fallback: ['c/d'] } as Options['model'];
    expect(issuesOf({ model })).toEqual([': Unrecognized key: "fallback"']);
  });
});

describe('the budget of an agent', () => {
  it('nothing said → the defaults', () => {
    expect(define({}).budget).toEqual({
      turns: 20,
      costMicroUsd: 1_000_000,
      deadlineMs: 604_800_000,
      denials: 5,
      repeats: 4,
    });
  });

  it.each([
    ['0.50', 500_000],
    ['0.000001', 1],
    ['0.29', 290_000],
    ['1234.567891', 1_234_567_891],
  ])('%s USD → %d micro-USD, exactly', (usd, costMicroUsd) => {
    expect(define({ budget: { usd } }).budget.costMicroUsd).toBe(costMicroUsd);
  });

  it.each([
    [{ usd: '0,50' }, 'usd: an amount is a decimal string, as in "0.50"'],
    [{ usd: '0.0000001' }, 'usd: an amount is a decimal string, as in "0.50"'],
    [{ usd: '-1' }, 'usd: an amount is a decimal string, as in "0.50"'],
    [{ deadline: '7 days' as '7d' }, 'deadline: a duration is a number and ms, s, m, h or d'],
    [{ deadline: '0s' as const }, 'deadline: a duration is a number and ms, s, m, h or d'],
    [{ turns: 0 }, 'turns: Too small: expected number to be >0'],
    [{ repeats: 1 }, 'repeats: Too small: expected number to be >=2'],
    [{ turn: 3 } as object, ': Unrecognized key: "turn"'],
  ])('%j → the issue names the field', (budget, issue) => {
    expect(issuesOf({ budget })).toEqual([issue]);
  });
});

describe('an agent', () => {
  it('the rest → kept, with defaults', () => {
    expect(define({})).toMatchObject({
      kind: 'pawl.agent',
      output: undefined,
      policy: undefined,
      approvalExpiryMs: 86_400_000,
      maxOutputTokens: 4_096,
    });
    expect(define({ approvalExpiry: '1h' }).approvalExpiryMs).toBe(3_600_000);
  });

  it.each(['Support', '1a', 'a_b', '', 'a'.repeat(65)])('the name %p → a TypeError', (name) => {
    expect(() => define({ name })).toThrow(
      new TypeError(`Agent "${name}": a name is lower case letters, digits and dashes`),
    );
  });

  it('two tools of one name → a TypeError that names it', () => {
    expect(() => define({ tools: [tool('mail'), tool('refund'), tool('mail')] })).toThrow(
      new TypeError('Agent "support": two tools or sub-agents are named "mail"'),
    );
  });

  it('an approval expiry that is no duration → refused, with the form', () => {
    expect(() => define({ approvalExpiry: 'soon' as '1h' })).toThrow(
      new TypeError('"soon" is not a duration: write a number and ms, s, m, h or d, as in "30s"'),
    );
  });
});
