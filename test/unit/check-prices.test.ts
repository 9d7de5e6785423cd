// Agents whose budget in money would never bite: refused when the worker starts, unless they say that this is meant.
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { PRICES, withPrices } from '../../domain/rules/pricing.ts';
import { type AgentOptions, defineAgent } from '../../domain/schemas/define-agent.ts';
import { checkPrices } from '../../workers/check-prices.ts';

const agent = (change: Partial<AgentOptions<object, string>>) => {
  const defined = defineAgent({
    name: 'clerk',
    input: z.object({}),
    instructions: 'x',
    tools: [],
    model: { primary: 'anthropic/claude-haiku-4-5' },
    ...change,
  });
  return new Map([[defined.name, { agent: defined }]]) as never;
};
const primary = 'anthropic/claude-haiku-4-5';

describe('an agent', () => {
  it('all of its models have a price, dated snapshots too → taken', () => {
    const model = { primary: `${primary}-20251001`, fallbacks: ['openai/gpt-5'] };
    expect(() =>
      checkPrices(agent({ model, compaction: { turns: 9, model: primary } }), PRICES),
    ).not.toThrow();
  });

  it.each([
    ['its model', { model: { primary: 'local/x' } }],
    ['a fallback', { model: { primary, fallbacks: ['local/x'] } }],
    ['the model of its compaction', { compaction: { turns: 9, model: 'local/x' } }],
  ])('%s has none → refused with the names and what to do', (_what, change) => {
    expect(() => checkPrices(agent(change), PRICES)).toThrow(
      /^Agent "clerk": no price is known for "local\/x".*withPrices.*unpriced: 'allow'/,
    );
    expect(() => checkPrices(agent({ ...change, unpriced: 'allow' }), PRICES)).not.toThrow();
    const known = withPrices(PRICES, { 'local/x': { input: '0', cachedInput: '0', output: '0' } });
    expect(() => checkPrices(agent(change), known)).not.toThrow();
  });
});
