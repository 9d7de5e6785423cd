// A provider's SDK, loaded with the first call, and its clients: a usual one, and one for each call with a fetch of its own.
import { loadOptionalPackage } from '../optional-package.ts';
import { ModelCallError, type ProviderAccount } from './model-provider.ts';
import { withReadableEvents } from './readable-events.ts';
import { toMissingPackageFacts } from './sdk-errors.ts';

/** What the official SDKs of all providers understand. */
export interface ClientSettings {
  readonly apiKey: string;
  readonly baseURL: string;
  readonly maxRetries: 0;
  readonly timeout: number;
  readonly logLevel: 'off';
  readonly fetch: typeof fetch;
}

export interface SdkOptions<Sdk, Client> {
  /** As in `anthropic/…`. */
  readonly provider: string;
  readonly packageName: string;
  /** Who needs the package, for the error when it is missing. */
  readonly needer: string;
  readonly importSdk: () => Promise<Sdk>;
  readonly account: ProviderAccount;
  readonly defaultBaseUrl: string;
  readonly open: (sdk: Sdk, settings: ClientSettings) => Client;
}

const TIMEOUT_MS = 600_000;

/** Gives the SDK and its client for one call. Throws a `TypeError` for a base URL that is none. */
export function createSdkClient<Sdk, Client>(
  options: SdkOptions<Sdk, Client>,
): (own?: typeof fetch) => Promise<{ readonly sdk: Sdk; readonly client: Client }> {
  const { account, open } = options;
  const settings: ClientSettings = {
    apiKey: account.apiKey,
    baseURL: new URL(account.baseURL ?? options.defaultBaseUrl).href,
    maxRetries: 0,
    timeout: account.timeoutMs ?? TIMEOUT_MS,
    logLevel: 'off',
    fetch: withReadableEvents((input, init) => fetch(input, init)),
  };
  let loading: Promise<Sdk> | undefined;
  let usual: Client | undefined;
  return async (own) => {
    loading ??= loadSdk(options);
    // A package that is missing is looked for again.
    loading.catch(() => (loading = undefined));
    const sdk = await loading;
    if (!own) return { sdk, client: (usual ??= open(sdk, settings)) };
    return { sdk, client: open(sdk, { ...settings, fetch: withReadableEvents(own) }) };
  };
}

async function loadSdk<Sdk>({
  provider,
  packageName,
  needer,
  importSdk,
}: Pick<
  SdkOptions<Sdk, unknown>,
  'provider' | 'packageName' | 'needer' | 'importSdk'
>): Promise<Sdk> {
  try {
    return await loadOptionalPackage(packageName, needer, importSdk);
  } catch (error) {
    const facts = toMissingPackageFacts(error, provider);
    throw facts ? new ModelCallError(facts) : error;
  }
}
