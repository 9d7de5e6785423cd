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
type Client = InstanceType<Sdk['Anthropic']>;

/** The provider behind `anthropic/…`; throws a `TypeError` for a base URL that is none. */
export function createAnthropicProvider(
  account: ProviderAccount,
  importSdk: () => Promise<Sdk> = () => import('@anthropic-ai/sdk'),
): ModelProvider {
  const baseURL = new URL(account.baseURL ?? 'https://api.anthropic.com').href;
  const open = ({ Anthropic }: Sdk, own?: typeof fetch): Client => {
    const client = new Anthropic({
      apiKey: account.apiKey,
      baseURL,
      maxRetries: 0,
      timeout: account.timeoutMs ?? TIMEOUT_MS,
      logLevel: 'off',
      ...(own ? { fetch: own } : {}),
    });
    return account.hidesContent ? withoutContent(client) : client;
  };
  let loading: Promise<Sdk> | undefined;
  let usual: Client | undefined;
  return {
    name: NAME,
    async call(request, context) {
      loading ??= loadSdk(importSdk);
      // A package that is missing is looked for again.
      loading.catch(() => (loading = undefined));
      const sdk = await loading;
      const client = context.fetch ? open(sdk, context.fetch) : (usual ??= open(sdk));
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

async function loadSdk(importSdk: () => Promise<Sdk>): Promise<Sdk> {
  try {
    return await loadOptionalPackage(PACKAGE, 'A model of Anthropic', importSdk);
  } catch (error) {
    const facts = toMissingPackageFacts(error, NAME);
    throw facts ? new ModelCallError(facts) : error;
  }
}
