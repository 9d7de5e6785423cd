// OpenAI through its official SDK: one request per call, no retries, answers streamed.
import { loadOptionalPackage } from '../optional-package.ts';
import { ModelCallError, type ModelProvider, type ProviderAccount } from './model-provider.ts';
import { OpenAiAnswer, toOpenAiRequest } from './openai-wire.ts';
import { toMissingPackageFacts } from './sdk-errors.ts';
import { readStreamedCall } from './streamed-call.ts';

const PACKAGE = 'openai';
const NAME = 'openai';
const TIMEOUT_MS = 600_000;

type Sdk = typeof import('openai');

/** The provider behind `openai/…`; throws a `TypeError` for a base URL that is none. */
export function createOpenAiProvider(
  account: ProviderAccount,
  importSdk: () => Promise<Sdk> = () => import('openai'),
): ModelProvider {
  const baseURL = new URL(account.baseURL ?? 'https://api.openai.com/v1').href;
  const open = ({ OpenAI }: Sdk, own?: typeof fetch): InstanceType<Sdk['OpenAI']> =>
    new OpenAI({
      apiKey: account.apiKey,
      baseURL,
      maxRetries: 0,
      timeout: account.timeoutMs ?? TIMEOUT_MS,
      logLevel: 'off',
      ...(own ? { fetch: own } : {}),
    });
  let loading: Promise<Sdk> | undefined;
  let usual: InstanceType<Sdk['OpenAI']> | undefined;
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

async function loadSdk(importSdk: () => Promise<Sdk>): Promise<Sdk> {
  try {
    return await loadOptionalPackage(PACKAGE, 'A model of OpenAI', importSdk);
  } catch (error) {
    const facts = toMissingPackageFacts(error, NAME);
    throw facts ? new ModelCallError(facts) : error;
  }
}
