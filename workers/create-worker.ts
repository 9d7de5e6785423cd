// Wires a worker: the ledger, the models, the tools and the workflows on one task queue.
import { Client } from '@temporalio/client';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { createActivities } from '../activities/index.ts';
import { type CrashHook, crashHookFrom } from '../activities/effects/crash-points.ts';
import { systemClock } from '../activities/clock.ts';
import { createEffectEngine } from '../activities/effects/effect-engine.ts';
import { createWire } from '../activities/effects/wire.ts';
import {
  createHistoryConverter,
  failureConverterPath,
  type KeyProvider,
  toKeys,
} from '../activities/encryption/encryption.ts';
import { type Database, openDatabase } from '../activities/ledger/database.ts';
import { migrate } from '../activities/ledger/migrate.ts';
import {
  createPostgresEffectLedger,
  readKeySecret,
} from '../activities/ledger/postgres-effect-ledger.ts';
import type { ModelProvider } from '../activities/models/model-provider.ts';
import { createModelProviders } from '../activities/models/model-registry.ts';
import { createAgentRegistry } from '../activities/runs/agent-registry.ts';
import type { RunDeps } from '../activities/runs/run-deps.ts';
import { createOriginOf } from '../activities/runs/run-origin.ts';
import { createStoredEffects } from '../activities/runs/stored-effects.ts';
import { DEFAULT_TENANT } from '../domain/rules/ids.ts';
import { type PriceTable, PRICES } from '../domain/rules/pricing.ts';
import type { Agent } from '../domain/schemas/define-agent.ts';
import type { AnyTool } from '../domain/schemas/define-tool.ts';
import { checkPrices } from './check-prices.ts';
import { toLogged } from './logged-errors.ts';
import { createLostAttemptsInterceptor } from './lost-attempts.ts';
import { readWorkerConfig, type WorkerConfig } from './config.ts';
import { ensureReconciler } from './reconciler-schedule.ts';
import { announceWorker } from './registration.ts';
import { findSupervisor } from './supervised.ts';
import { warmUp } from './warm-up.ts';
import { WORKER_SETTINGS } from './worker-settings.ts';
import { findWorkflowBundle, type WorkflowBundle } from './workflow-bundle.ts';
import { createSweepDeps } from './workflows-port.ts';

export interface CreateWorkerOptions {
  // An agent's input type is its own business here.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly agents?: readonly Agent<any, any>[];
  /** Tools for `effect()` in workflows of your own. */
  readonly tools?: readonly AnyTool[];
  /** Your own workflows: a module that also exports everything of `pawl/workflows`. @default Pawl's alone */
  readonly workflowsPath?: string;
  /** Plain activities of those workflows; `default` and names with `pawl.` or `tool.` in front are Pawl's. */
  readonly activities?: Readonly<Record<string, (...args: never[]) => Promise<unknown>>>;
  /** A bundle made at build time: the worker is polling within two seconds. @default PAWL_WORKFLOW_BUNDLE, else made now */
  readonly workflowBundle?: WorkflowBundle;
  /** @default the environment */
  readonly config?: WorkerConfig;
  /** Seals bodies and histories: `k2:<base64>,k1:<base64>`, or your KMS. @default PAWL_ENCRYPTION_KEYS, else off */
  readonly encryptionKeys?: string | KeyProvider;
  /** Brings the ledger's schema up to this build first. @default PAWL_MIGRATE, else true */
  readonly migrates?: boolean;
  readonly providers?: readonly ModelProvider[];
  readonly prices?: PriceTable;
  /** Workflows kept in memory between tasks; 0 replays every task from the start, and takes no `local` tool. @default 200 */
  readonly maxCachedWorkflows?: number;
  /** How long what is on the wire may still take after SIGTERM. @default '20s' */
  readonly shutdownGraceTime?: `${number}s`;
  /** How often the reconciler sweeps. @default 30_000 */
  readonly reconcileEveryMs?: number;
  /** For crash tests; the environment's `PAWL_CRASH_AT` otherwise. */
  readonly crash?: CrashHook;
  /** In [0, 1); for seeded tests. @default Math.random */
  readonly random?: () => number;
}

/** A worker that is ready to run. */
export interface PawlWorker {
  /**
   * Polls until `shutdown` or SIGTERM; resolves when everything on the wire is recorded. Under `pawl worker` it polls
   * when the supervisor says so: until then it is a warm spare.
   */
  run(): Promise<void>;
  shutdown(): void;
}

/** Connects, migrates and wires. Throws an error that names what is missing, before any task is taken. */
export async function createWorker(options: CreateWorkerOptions): Promise<PawlWorker> {
  const config = options.config ?? readWorkerConfig();
  const keys = toKeys(options.encryptionKeys ?? config.encryptionKeys);
  installRuntime(config, keys !== undefined);
  const registry = await createAgentRegistry(options.agents ?? [], options.tools);
  checkCache(options, registry);
  checkPrices(registry.agents, options.prices ?? PRICES);
  if (options.migrates ?? config.migrates) await migrate(config.databaseUrl);
  const database = openDatabase({ url: config.databaseUrl, keys, warn });
  const connection = await NativeConnection.connect({ address: config.temporalAddress });
  const history = keys && createHistoryConverter({ keys, tenant: DEFAULT_TENANT, ...mode(config) });
  const client = new Client({
    connection,
    namespace: config.namespace,
    ...(history ? { dataConverter: history } : {}),
  });
  const deps = await createRunDeps(options, config, registry, database);
  const supervisor = findSupervisor();
  const workflowBundle = await findWorkflowBundle({
    ...options,
    bundleFile: config.workflowBundle,
    sharedFolder: supervisor?.sharedFolder,
    encrypted: keys !== undefined,
  });
  const worker = await Worker.create({
    connection,
    namespace: config.namespace,
    taskQueue: config.taskQueue,
    identity: config.identity,
    buildId: config.buildId,
    activities: {
      ...checkActivities(options.activities),
      ...createActivities(deps, createSweepDeps(client, config)),
    },
    workflowBundle,
    interceptors: {
      activity: [createLostAttemptsInterceptor({ client, identity: config.identity, warn })],
    },
    ...(history
      ? { dataConverter: { ...history, failureConverterPath: failureConverterPath() } }
      : {}),
    ...WORKER_SETTINGS,
    ...pickSettings(options),
  });
  await ensureReconciler(client, config.taskQueue, options.reconcileEveryMs ?? 30_000);
  const announce = (): Promise<() => Promise<void>> => announceWorker(database, config, registry);
  // A warm spare offers nothing yet.
  let leave = supervisor ? undefined : await announce();
  return {
    shutdown: () => worker.shutdown(),
    async run() {
      if (supervisor) await supervisor.untilToldToRun(config, () => void warmUp(config));
      const running = worker.run();
      try {
        supervisor?.isPolling();
        leave ??= await announce().catch((error: unknown) => {
          worker.shutdown();
          throw error;
        });
        setImmediate(() => void warmUp(config)); // a spare has it already
        await running;
      } finally {
        await running.catch(() => undefined); // its error is the one above, or comes after another one
        await leave?.();
        await database.close();
        await connection.close();
      }
    },
  };
}

function mode({ plaintext }: WorkerConfig): { readonly mode: 'own' | 'transition' } {
  return { mode: plaintext === 'accept' ? 'transition' : 'own' };
}

function pickSettings({
  maxCachedWorkflows = WORKER_SETTINGS.maxCachedWorkflows,
  shutdownGraceTime = WORKER_SETTINGS.shutdownGraceTime,
}: CreateWorkerOptions): Pick<WorkerOptions, 'maxCachedWorkflows' | 'shutdownGraceTime'> {
  return { maxCachedWorkflows, shutdownGraceTime };
}

/** Throws a `TypeError` for a local tool without a cache: an execution that is evicted loses it, and begins it again. */
function checkCache(
  { maxCachedWorkflows }: CreateWorkerOptions,
  { tools }: RunDeps['registry'],
): void {
  const local = [...tools.values()].find((tool) => tool.local);
  if (maxCachedWorkflows !== 0 || !local) return;
  throw new TypeError(
    `The tool "${local.name}" is local, and maxCachedWorkflows is 0: runs that are busy at once would drop each other's ` +
      'attempts and never end. Give the cache room for the runs that are busy at once. A tool without `local` needs none, ' +
      'but runs that are under way keep calling it as they began.',
  );
}

/** Throws a `TypeError` for a name that is Pawl's own. */
function checkActivities(
  activities: CreateWorkerOptions['activities'] = {},
): NonNullable<CreateWorkerOptions['activities']> {
  const taken = Object.keys(activities).find((name) => /^(default$|pawl\.|tool\.)/.test(name));
  if (taken === undefined) return activities;
  throw new TypeError(`The activity name "${taken}" is Pawl's own: name yours otherwise`);
}

async function createRunDeps(
  options: CreateWorkerOptions,
  config: WorkerConfig,
  registry: RunDeps['registry'],
  database: Database,
): Promise<RunDeps> {
  const wire = createWire({ privateNetworks: config.privateNetworks, hosts: config.hosts });
  const crash = options.crash ?? crashHookFrom(config.crashAt);
  const random = options.random ?? Math.random;
  const ledger = await createPostgresEffectLedger(database, { crash });
  const keySecret = await readKeySecret(database);
  const isEncrypted = toKeys(options.encryptionKeys ?? config.encryptionKeys) !== undefined;
  return {
    database,
    ledger,
    engine: createEffectEngine({ ledger, wire, crash, random, keySecret }),
    originOf: createOriginOf(database),
    storedEffects: createStoredEffects(),
    registry,
    providers: createModelProviders({
      anthropic: config.anthropic && { ...config.anthropic, hidesContent: isEncrypted },
      openai: config.openai,
      others: options.providers,
    }),
    prices: options.prices ?? PRICES,
    wire,
    crash,
    clock: systemClock,
    random,
    keySecret,
    isEncrypted,
  };
}

function warn(message: string): void {
  Runtime.instance().logger.warn(message);
}

let isInstalled = false;

function installRuntime({ logLevel }: WorkerConfig, hidesWords: boolean): void {
  if (isInstalled) return;
  isInstalled = true;
  Runtime.install({
    logger: new DefaultLogger(logLevel, ({ level, timestampNanos, message, meta }) => {
      const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
      process.stderr.write(
        `${JSON.stringify({ time, level, message, ...meta }, toLogged(hidesWords))}\n`,
      );
    }),
  });
}
