// Costs in whole micro-USD from a dated table; an unknown model has no cost (requirement S2-16).
import { describe, expect, it } from '@jest/globals';
import { costMicroUsd, PRICES, withPrices } from '../../domain/rules/pricing.ts';
import type { Usage } from '../../domain/rules/transcript.ts';

const usage = (more: Partial<Usage> = {}): Usage => ({
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  ...more,
});
const table = {
  version: 'test-1',
  models: {
    'acme/one': { input: '3.00', cachedInput: '0.30', cacheWriteInput: '3.75', output: '15.00' },
    'acme/two': {
      input: '1',
      cachedInput: '0.1',
      output: '2',
      longInput: { aboveInputTokens: 1_000, input: '2', cachedInput: '0.2', output: '3' },
    },
  },
};

describe('costMicroUsd', () => {
  it('plain, cached and written input and output → the exact integer', () => {
    const tokens = usage({
      inputTokens: 10_000,
      cachedInputTokens: 6_000,
      cacheWriteInputTokens: 1_000,
      outputTokens: 500,
    });
    // 3,000 * 3.00 + 6,000 * 0.30 + 1,000 * 3.75 + 500 * 15.00
    const microUsd = 9_000 + 1_800 + 3_750 + 7_500;
    expect(costMicroUsd(tokens, 'acme/one', table)).toEqual({
      isKnown: true,
      microUsd,
      tableVersion: 'test-1',
    });
  });

  it('a fraction of a micro-USD → rounded up, never to nothing', () => {
    const cost = costMicroUsd(usage({ inputTokens: 1, cachedInputTokens: 1 }), 'acme/one', table);
    expect(cost.microUsd).toBe(1);
  });

  it('no tokens → 0, which is known', () => {
    expect(costMicroUsd(usage(), 'acme/one', table)).toMatchObject({ isKnown: true, microUsd: 0 });
  });

  it('an unknown model → no cost and the flag, not zero', () => {
    const cost = costMicroUsd(usage({ inputTokens: 5 }), 'acme/three', table);
    expect(cost).toEqual({ isKnown: false, microUsd: undefined, tableVersion: 'test-1' });
    expect(costMicroUsd(usage(), 'constructor', table).isKnown).toBe(false);
  });

  it('a dated snapshot → the price of its model', () => {
    const tokens = usage({ inputTokens: 1_000_000 });
    for (const model of ['anthropic/claude-haiku-4-5-20251001', 'openai/gpt-5-2025-08-07']) {
      expect(costMicroUsd(tokens, model)).toMatchObject({ isKnown: true });
    }
    expect(costMicroUsd(tokens, 'anthropic/claude-haiku-4-5-20251001').microUsd).toBe(1_000_000);
  });

  it('input over the long-input mark → the whole call at the long prices', () => {
    const short = usage({ inputTokens: 1_000, outputTokens: 100 });
    const long = usage({ inputTokens: 1_001, outputTokens: 100 });
    expect(costMicroUsd(short, 'acme/two', table).microUsd).toBe(1_000 + 200);
    expect(costMicroUsd(long, 'acme/two', table).microUsd).toBe(2_002 + 300);
  });

  it('an override → the new price under a version that says so', () => {
    const mine = withPrices(PRICES, {
      'openai/gpt-5': { input: '1', cachedInput: '1', output: '1' },
    });
    const cost = costMicroUsd(usage({ outputTokens: 1_000_000 }), 'openai/gpt-5', mine);
    expect(cost).toEqual({
      isKnown: true,
      microUsd: 1_000_000,
      tableVersion: `${PRICES.version}+custom`,
    });
  });

  it('the shipped table → every price parses, cached input is never dearer than input', () => {
    for (const [model, prices] of Object.entries(PRICES.models)) {
      expect(costMicroUsd(usage({ inputTokens: 1, outputTokens: 1 }), model).isKnown).toBe(true);
      expect(Number(prices.cachedInput)).toBeLessThanOrEqual(Number(prices.input));
    }
  });
});
