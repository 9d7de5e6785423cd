// Where the client finds its servers and who it speaks for: options, then environment, then defaults.
import { userInfo } from 'node:os';
import type { KeyProvider } from '../activities/encryption/encryption.ts';
import { DEFAULT_TENANT } from '../domain/rules/ids.ts';
import { checkField, rules } from './text-rules.ts';

export interface ClientOptions {
  /** `host:port` of Temporal. @default TEMPORAL_ADDRESS, else `localhost:7233` */
  readonly temporalAddress?: string | undefined;
  /** Temporal's namespace. @default PAWL_NAMESPACE, else `default` */
  readonly namespace?: string | undefined;
  /** `postgres://…` of the ledger. @default DATABASE_URL; there is no other default */
  readonly databaseUrl?: string | undefined;
  /** @default PAWL_TENANT, else `default` */
  readonly tenant?: string | undefined;
  /** The workers' task queue. @default PAWL_TASK_QUEUE, else `pawl` */
  readonly taskQueue?: string | undefined;
  /** Who starts runs and asks for things. @default the user of the operating system */
  readonly requester?: string | undefined;
  /** Opens and seals bodies: `k2:<base64>,k1:<base64>`, or your KMS. @default PAWL_ENCRYPTION_KEYS; else off */
  readonly encryptionKeys?: string | KeyProvider | undefined;
}

export interface ClientSettings {
  readonly temporalAddress: string;
  readonly namespace: string;
  readonly databaseUrl: string | undefined;
  readonly tenant: string;
  readonly taskQueue: string;
  readonly requester: string;
  readonly encryptionKeys: string | KeyProvider | undefined;
  readonly plaintext: 'accept' | 'refuse';
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Fills the options up. An empty environment variable counts as not set. Throws ArgumentInvalidError with the field. */
export function resolveSettings(
  options: ClientOptions = {},
  env: Environment = process.env,
): ClientSettings {
  const settings = {
    temporalAddress: options.temporalAddress ?? (env['TEMPORAL_ADDRESS'] || 'localhost:7233'),
    namespace: options.namespace ?? (env['PAWL_NAMESPACE'] || 'default'),
    databaseUrl: options.databaseUrl ?? (env['DATABASE_URL'] || undefined),
    tenant: options.tenant ?? (env['PAWL_TENANT'] || DEFAULT_TENANT),
    taskQueue: options.taskQueue ?? (env['PAWL_TASK_QUEUE'] || 'pawl'),
    requester: options.requester ?? osUser(env),
    encryptionKeys: options.encryptionKeys ?? (env['PAWL_ENCRYPTION_KEYS'] || undefined),
    plaintext: env['PAWL_ENCRYPTION_PLAINTEXT'] === 'accept' ? 'accept' : 'refuse',
  } as const;
  for (const [field, rule] of Object.entries(SETTING_RULES)) {
    checkField(field, settings[field as keyof typeof SETTING_RULES], rule);
  }
  return settings;
}

/** The texts among them; addresses and keys are judged by what opens them. */
export const SETTING_RULES = {
  temporalAddress: rules.id,
  namespace: rules.id,
  tenant: rules.name,
  taskQueue: rules.id,
  requester: rules.name,
} as const;

/** A database address as it may be printed: no password, no parameters. */
export function toPrintableAddress(databaseUrl: string): string {
  try {
    const { hostname, port, pathname } = new URL(databaseUrl);
    return `${decodeURIComponent(hostname) || 'localhost'}:${port || '5432'}${pathname}`;
  } catch {
    return 'an address that is not a URL';
  }
}

/** Who sits at the keyboard. */
export function osUser(env: Environment): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a user id without a name.
    return env['USER'] || 'unknown';
  }
}
