// Model references: who serves them, and what a user reads when nobody does.
import { describe, expect, it } from '@jest/globals';
import type { ModelProvider } from '../../activities/models/model-provider.ts';
import { createModelProviders } from '../../activities/models/model-registry.ts';
import { classify, type ModelCallFacts } from '../../domain/rules/classify.ts';

const account = { apiKey: 'sk-test' };

function failureOf(act: () => unknown): { message: string; facts: ModelCallFacts } {
  try {
    act();
  } catch (error) {
    return error as { message: string; facts: ModelCallFacts };
  }
  throw new Error('this should have failed');
}

describe('createModelProviders', () => {
  it('a reference → its provider and the model without the prefix', () => {
    const providers = createModelProviders({ anthropic: account, openai: account });
    expect(providers.names).toEqual(['anthropic', 'openai']);
    const { provider, model } = providers.resolve('openai/ft:gpt-5/acme');
    expect([provider.name, model]).toEqual(['openai', 'ft:gpt-5/acme']);
  });

  it.each([
    ['anthropic/claude-opus-5', 'ANTHROPIC_API_KEY'],
    ['openai/gpt-5', 'OPENAI_API_KEY'],
  ])('%s without a key → Model.NotConfigured that names %s', (reference, keyName) => {
    const providers = createModelProviders({ anthropic: { apiKey: '' } });
    const { message, facts } = failureOf(() => providers.resolve(reference));
    expect(message).toContain(`the model "${reference}" is not configured: set ${keyName}`);
    expect(classify(facts)).toMatchObject({ type: 'Model.NotConfigured', retryable: false });
    expect(classify(facts).hint).toContain(`set ${keyName}`);
  });

  it.each(['mistral/large', 'gpt-5', '/gpt-5', 'openai/', ''])(
    '"%s" → Model.NotConfigured that shows the form',
    (reference) => {
      const providers = createModelProviders({ openai: account });
      const { message, facts } = failureOf(() => providers.resolve(reference));
      expect(classify(facts).type).toBe('Model.NotConfigured');
      expect(message).toContain(`the model "${reference}" is not configured`);
      expect(message).toContain('Configured: openai');
    },
  );

  it("a provider of one's own → found by its name", () => {
    const mine: ModelProvider = { name: 'mine', call: () => Promise.reject(new Error('unused')) };
    expect(createModelProviders({ others: [mine] }).resolve('mine/m').provider).toBe(mine);
  });
});
