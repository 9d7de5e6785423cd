// Anthropic through its official SDK: one request per call, no retries, answers streamed.
import { loadOptionalPackage } from '../optional-package.ts';
import { AnthropicAnswer, toAnthropicRequest } from './anthropic-wire.ts';
import { ModelCallError, type ModelProvider, type ProviderAccount } from './model-provider.ts';
import { toMissingPackageFacts } from './sdk-errors.ts';
import { readStreamedCall } from './streamed-call.ts';

const PACKAGE = '@anthropic-ai/sdk';
const NAME = 'anthropic';
const TIMEOUT_MS = 600_000;

type Sdk = typeof import('@anthropic-ai/sdk');

/** The provider behind `anthropic/…`; throws a `TypeError` for a base URL that is none. */
export function createAnthropicProvider(
  account: ProviderAccount,
  importSdk: () => Promise<Sdk> = () => import('@anthropic-ai/sdk'),
): ModelProvider {
  const baseURL = new URL(account.baseURL ?? 'https://api.anthropic.com').href;
  return {
    name: NAME,
    async call(request, context) {
      const { Anthropic } = await loadSdk(importSdk);
      const client = new Anthropic({
        apiKey: account.apiKey,
        baseURL,
        maxRetries: 0,
        timeout: account.timeoutMs ?? TIMEOUT_MS,
        logLevel: 'off',
        ...(context.fetch ? { fetch: context.fetch } : {}),
      });
      // The SDK's own `idempotencyKey` option sends nothing, so the header is ours.
      const headers = { 'idempotency-key': context.idempotencyKey };
      return readStreamedCall({
        provider: NAME,
        account,
        errors: Anthropic,
        context,
        answer: new AnthropicAnswer(request.model),
        open: () =>
          client.messages
            .create(toAnthropicRequest(request), { headers, signal: context.signal })
            .withResponse(),
      });
    },
  };
}

async function loadSdk(importSdk: () => Promise<Sdk>): Promise<Sdk> {
  try {
    return await loadOptionalPackage(PACKAGE, 'A model of Anthropic', importSdk);
  } catch (error) {
    const facts = toMissingPackageFacts(error, NAME);
    throw facts ? new ModelCallError(facts) : error;
  }
}
