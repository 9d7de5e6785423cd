// OpenAI through its official SDK: one request per call, no retries, answers streamed.
import type { ModelProvider, ProviderAccount } from './model-provider.ts';
import { OpenAiAnswer } from './openai-answer.ts';
import { toOpenAiRequest } from './openai-wire.ts';
import { createSdkClient } from './sdk-client.ts';
import { readStreamedCall } from './streamed-call.ts';

const NAME = 'openai';

type Sdk = typeof import('openai');

/** The provider behind `openai/…`; throws a `TypeError` for a base URL that is none. */
export function createOpenAiProvider(
  account: ProviderAccount,
  importSdk: () => Promise<Sdk> = () => import('openai'),
): ModelProvider {
  const clientFor = createSdkClient<Sdk, InstanceType<Sdk['OpenAI']>>({
    provider: NAME,
    packageName: 'openai',
    needer: 'A model of OpenAI',
    importSdk,
    account,
    defaultBaseUrl: 'https://api.openai.com/v1',
    open: ({ OpenAI }, settings) => new OpenAI({ ...settings }),
  });
  return {
    name: NAME,
    async call(request, context) {
      const { sdk, client } = await clientFor(context.fetch);
      // The SDK's own `idempotencyKey` option sends nothing, so the header is ours.
      const headers = { 'idempotency-key': context.idempotencyKey };
      return readStreamedCall({
        provider: NAME,
        account,
        errors: sdk.OpenAI,
        context,
        answer: new OpenAiAnswer(),
        open: () =>
          client.chat.completions
            .create(toOpenAiRequest(request), { headers, signal: context.signal })
            .withResponse(),
      });
    },
  };
}
