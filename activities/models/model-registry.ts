// From a reference such as `anthropic/claude-…` to the provider that serves it.
import { API_KEY_NAMES } from '../../domain/rules/classify.ts';
import { createAnthropicProvider } from './anthropic.ts';
import { ModelCallError, type ModelProvider, type ProviderAccount } from './model-provider.ts';
import { createOpenAiProvider } from './openai.ts';

export interface ModelProvidersConfig {
  readonly anthropic?: ProviderAccount | undefined;
  readonly openai?: ProviderAccount | undefined;
  /** Providers of one's own, found by their name; they come before the built-in ones. */
  readonly others?: readonly ModelProvider[] | undefined;
}

export interface ResolvedModel {
  readonly provider: ModelProvider;
  /** The model's name without the provider's prefix. */
  readonly model: string;
}

export interface ModelProviders {
  /** Names of the providers that can be called. */
  readonly names: readonly string[];
  /** Throws a `ModelCallError` of kind `not-configured` that says which key to set. */
  resolve(reference: string): ResolvedModel;
}

/** The providers that a worker can call; an account with an empty key counts as absent. */
export function createModelProviders(config: ModelProvidersConfig): ModelProviders {
  const providers = new Map<string, ModelProvider>();
  if (config.anthropic?.apiKey)
    providers.set('anthropic', createAnthropicProvider(config.anthropic));
  if (config.openai?.apiKey) providers.set('openai', createOpenAiProvider(config.openai));
  for (const provider of config.others ?? []) providers.set(provider.name, provider);
  const names = [...providers.keys()];
  return {
    names,
    resolve(reference) {
      const slash = reference.indexOf('/');
      const name = reference.slice(0, Math.max(0, slash));
      const model = reference.slice(slash + 1);
      const provider = providers.get(name);
      if (!provider || model === '') throw notConfigured(reference, name, names);
      return { provider, model };
    },
  };
}

function notConfigured(reference: string, name: string, names: readonly string[]): ModelCallError {
  const keyName = API_KEY_NAMES[name];
  const known = Object.keys(API_KEY_NAMES).join(', ');
  const why = keyName
    ? `set ${keyName}`
    : `no provider is named "${name}" (built in: ${known}; write "provider/model")`;
  const configured = names.length > 0 ? names.join(', ') : 'none';
  const message = `the model "${reference}" is not configured: ${why}. Configured: ${configured}`;
  return new ModelCallError({ kind: 'not-configured', provider: name || reference, message });
}
