// Anthropic through its official SDK: one request per call, no retries, answers streamed.
import { AnthropicAnswer } from './anthropic-answer.ts';
import { toAnthropicRequest } from './anthropic-wire.ts';
import type { ModelProvider, ProviderAccount } from './model-provider.ts';
import { createSdkClient } from './sdk-client.ts';
import { readStreamedCall } from './streamed-call.ts';

const NAME = 'anthropic';

type Sdk = typeof import('@anthropic-ai/sdk');
type Client = InstanceType<Sdk['Anthropic']>;

/** The provider behind `anthropic/…`; throws a `TypeError` for a base URL that is none. */
export function createAnthropicProvider(
  account: ProviderAccount,
  importSdk: () => Promise<Sdk> = () => import('@anthropic-ai/sdk'),
): ModelProvider {
  const clientFor = createSdkClient<Sdk, Client>({
    provider: NAME,
    packageName: '@anthropic-ai/sdk',
    needer: 'A model of Anthropic',
    importSdk,
    account,
    defaultBaseUrl: 'https://api.anthropic.com',
    open({ Anthropic }, settings) {
      const client = new Anthropic({ ...settings });
      return account.hidesContent ? withoutContent(client) : client;
    },
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
        errors: sdk.Anthropic,
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

/** Its spans without prompts and answers, which one variable of the environment would put into them. */
function withoutContent(client: Client): Client {
  const { openTelemetry } = client;
  const traces = { ...openTelemetry.traces, contentMode: 'metadata_only' } as const;
  return client.withOptions({ openTelemetry: { ...openTelemetry, traces } });
}
