// The environment as one validated object, read once; nothing else in Pawl's worker looks at the environment.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import { toHost } from '../domain/rules/hosts.ts';

const environmentSchema = z.object({
  TEMPORAL_ADDRESS: z.string().default('localhost:7233'),
  PAWL_NAMESPACE: z.string().default('default'),
  PAWL_TASK_QUEUE: z.string().default('pawl'),
  DATABASE_URL: z.string().min(1, 'is not set: name the PostgreSQL that holds the ledger'),
  ANTHROPIC_API_KEY: z.string().optional(),
  ANTHROPIC_BASE_URL: z.url().optional(),
  OPENAI_API_KEY: z.string().optional(),
  OPENAI_BASE_URL: z.url().optional(),
  PAWL_EGRESS_PRIVATE: z.enum(['allow', 'refuse']).default('refuse'),
  PAWL_EGRESS_ALLOW: z.string().optional().transform(toHosts),
  PAWL_BUILD_ID: z.string().max(32).default('dev'),
  PAWL_WORKFLOW_BUNDLE: z.string().optional(),
  PAWL_MIGRATE: z.enum(['yes', 'no']).default('yes'),
  PAWL_ENCRYPTION_KEYS: z.string().optional(),
  PAWL_ENCRYPTION_PLAINTEXT: z.enum(['accept', 'refuse']).default('refuse'),
  PAWL_CRASH_AT: z.string().optional(),
  PAWL_ALLOW_CRASH_POINTS: z.enum(['0', '1']).default('0'),
  PAWL_LOG_LEVEL: z.enum(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR']).default('WARN'),
});

function toHosts(
  list: string | undefined,
  context: z.RefinementCtx,
): readonly string[] | undefined {
  const names = list?.split(',').filter((name) => name.trim() !== '') ?? [];
  try {
    return names.length === 0 ? undefined : names.map(toHost);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : '' });
    return z.NEVER;
  }
}

export interface WorkerConfig {
  readonly temporalAddress: string;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly databaseUrl: string;
  readonly anthropic: { readonly apiKey: string; readonly baseURL: string | undefined } | undefined;
  readonly openai: { readonly apiKey: string; readonly baseURL: string | undefined } | undefined;
  /** Whether tools may reach loopback and private addresses. */
  readonly privateNetworks: 'allow' | 'refuse';
  /** The only hosts that tools may reach. Undefined: every public one. */
  readonly hosts?: readonly string[] | undefined;
  /** Short: it stands in every workflow task of every history. */
  readonly buildId: string;
  /** Never that of another process, a later one with the same number included: a supervisor asks who is dead by it. */
  readonly identity: string;
  /** A file that `pawl build-bundle` made. */
  readonly workflowBundle?: string | undefined;
  /** Whether this worker brings the ledger's schema up to its build; `no` where its role may not. */
  readonly migrates: boolean;
  /** `k2:<base64>,k1:<base64>`: the first is current. Undefined: bodies are stored in the clear. */
  readonly encryptionKeys?: string | undefined;
  /** With keys: whether histories that began in the clear are read. @default 'refuse' */
  readonly plaintext?: 'accept' | 'refuse';
  readonly crashAt: string | undefined;
  readonly logLevel: 'TRACE' | 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';
}

/** What is wrong with the environment, in words for the user. */
export class ConfigInvalid extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigInvalid';
  }
}

/** Reads the configuration. A secret may be named by file: `NAME_FILE=/run/secrets/name`. Throws `ConfigInvalid`. */
export function readWorkerConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): WorkerConfig {
  const parsed = environmentSchema.safeParse(withSecretFiles(environment));
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => `  ${path.join('.')} ${message}`);
    throw new ConfigInvalid(`The worker's environment is not usable:\n${lines.join('\n')}`);
  }
  const env = parsed.data;
  if (env.PAWL_CRASH_AT) checkCrashAllowed(env.PAWL_ALLOW_CRASH_POINTS, environment['NODE_ENV']);
  return {
    temporalAddress: env.TEMPORAL_ADDRESS,
    namespace: env.PAWL_NAMESPACE,
    taskQueue: env.PAWL_TASK_QUEUE,
    databaseUrl: env.DATABASE_URL,
    anthropic: account(env.ANTHROPIC_API_KEY, env.ANTHROPIC_BASE_URL),
    openai: account(env.OPENAI_API_KEY, env.OPENAI_BASE_URL),
    privateNetworks: env.PAWL_EGRESS_PRIVATE,
    hosts: env.PAWL_EGRESS_ALLOW,
    buildId: env.PAWL_BUILD_ID,
    identity: `${process.pid}@${hostname()}-${randomBytes(3).toString('hex')}`,
    workflowBundle: env.PAWL_WORKFLOW_BUNDLE,
    migrates: env.PAWL_MIGRATE === 'yes',
    encryptionKeys: env.PAWL_ENCRYPTION_KEYS || undefined,
    plaintext: env.PAWL_ENCRYPTION_PLAINTEXT,
    crashAt: env.PAWL_CRASH_AT,
    logLevel: env.PAWL_LOG_LEVEL,
  };
}

/** A variable that was left over from a test would kill a production worker at every effect. */
function checkCrashAllowed(allowed: '0' | '1', nodeEnv: string | undefined): void {
  if (allowed === '1' || nodeEnv === 'test' || nodeEnv === 'development') return;
  throw new ConfigInvalid(
    'PAWL_CRASH_AT kills this worker in the middle of an effect: it is for tests. Unset it, or set ' +
      'PAWL_ALLOW_CRASH_POINTS=1 (NODE_ENV "test" and "development" allow it, too).',
  );
}

function account(
  apiKey: string | undefined,
  baseURL: string | undefined,
): WorkerConfig['anthropic'] {
  return apiKey ? { apiKey, baseURL } : undefined;
}

const SECRETS = ['DATABASE_URL', 'ANTHROPIC_API_KEY', 'OPENAI_API_KEY', 'PAWL_ENCRYPTION_KEYS'];

function withSecretFiles(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const merged = { ...environment };
  for (const name of SECRETS) {
    const file = environment[`${name}_FILE`];
    if (!file || merged[name]) continue;
    try {
      merged[name] = readFileSync(file, 'utf8').trim();
    } catch (error) {
      throw new ConfigInvalid(`${name}_FILE names ${file}, which cannot be read: ${String(error)}`);
    }
  }
  return merged;
}
