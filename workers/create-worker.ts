// Wires a worker: the ledger, the models, the tools and the workflows on one task queue.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
} from '@temporalio/worker';
import type { Logger, WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { createActivities } from '../activities/index.ts';
import { type CrashHook, crashHookFrom } from '../activities/effects/crash-points.ts';
import { systemClock } from '../activities/clock.ts';
import { createEffectEngine } from '../activities/effects/effect-engine.ts';
import { createWire } from '../activities/effects/wire.ts';
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
import { type PriceTable, PRICES } from '../domain/rules/pricing.ts';
import type { Agent } from '../domain/schemas/define-agent.ts';
import type { AnyTool } from '../domain/schemas/define-tool.ts';
import { readWorkerConfig, type WorkerConfig } from './config.ts';
import { ensureReconciler } from './reconciler-schedule.ts';
import { announceWorker } from './registration.ts';
import { createWorkflowsPort } from './workflows-port.ts';

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
  /** A bundle made at build time: the worker is polling within two seconds. */
  readonly workflowBundle?: WorkflowBundleWithSourceMap | { readonly codePath: string };
  /** @default the environment */
  readonly config?: WorkerConfig;
  /** Brings the ledger's schema up to this build first. @default PAWL_MIGRATE, else true */
  readonly migrates?: boolean;
  readonly providers?: readonly ModelProvider[];
  readonly prices?: PriceTable;
  /** Workflows kept in memory between tasks; 0 replays every task from the start. @default 200 */
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
  /** Polls until `shutdown` or SIGTERM; resolves when everything on the wire is recorded. */
  run(): Promise<void>;
  shutdown(): void;
}

/** How long a dead worker's sticky queue keeps its tasks: the recovery time after a kill. */
const STICKY_TIMEOUT = '3s';

/** Connects, migrates and wires. Throws an error that names what is missing, before any task is taken. */
export async function createWorker(options: CreateWorkerOptions): Promise<PawlWorker> {
  const config = options.config ?? readWorkerConfig();
  installRuntime(config);
  const registry = await createAgentRegistry(options.agents ?? [], options.tools);
  if (options.migrates ?? config.migrates) await migrate(config.databaseUrl);
  const database = openDatabase({ url: config.databaseUrl });
  const connection = await NativeConnection.connect({ address: config.temporalAddress });
  const client = new Client({ connection, namespace: config.namespace });
  const deps = await createRunDeps(options, config, registry, database);
  const worker = await Worker.create({
    connection,
    namespace: config.namespace,
    taskQueue: config.taskQueue,
    identity: config.identity,
    buildId: config.buildId,
    activities: {
      ...checkActivities(options.activities),
      ...createActivities(deps, { workflows: createWorkflowsPort(client) }),
    },
    ...(await workflowSource(options)),
    maxCachedWorkflows: options.maxCachedWorkflows ?? 200,
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    shutdownGraceTime: options.shutdownGraceTime ?? '20s',
  });
  await ensureReconciler(client, config.taskQueue, options.reconcileEveryMs ?? 30_000);
  const leave = await announceWorker(database, config, registry);
  return {
    shutdown: () => worker.shutdown(),
    async run() {
      try {
        await worker.run();
      } finally {
        await leave();
        await database.close();
        await connection.close();
      }
    },
  };
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
  const wire = createWire({ privateNetworks: config.privateNetworks });
  const crash = options.crash ?? crashHookFrom(config.crashAt);
  const random = options.random ?? Math.random;
  const ledger = await createPostgresEffectLedger(database, { crash });
  return {
    database,
    ledger,
    engine: createEffectEngine({ ledger, wire, crash, random }),
    registry,
    providers: createModelProviders({
      anthropic: config.anthropic,
      openai: config.openai,
      others: options.providers,
    }),
    prices: options.prices ?? PRICES,
    wire,
    crash,
    clock: systemClock,
    random,
    keySecret: await readKeySecret(database),
  };
}

type WorkflowSource =
  | { workflowsPath: string; bundlerOptions: object }
  | { workflowBundle: NonNullable<CreateWorkerOptions['workflowBundle']> };

async function workflowSource({
  workflowBundle,
  workflowsPath = defaultWorkflowsPath(),
}: CreateWorkerOptions): Promise<WorkflowSource> {
  if (workflowBundle) return { workflowBundle };
  return Promise.resolve({
    workflowsPath,
    bundlerOptions: { webpackConfigHook: resolveLikeThisProcess },
  });
}

/** Bundles Pawl's workflows (or your own module that exports them too) for a production image. */
export function bundleWorkflows(
  workflowsPath: string = defaultWorkflowsPath(),
  { logger }: { readonly logger?: Logger } = {},
): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({
    workflowsPath,
    webpackConfigHook: resolveLikeThisProcess,
    ...(logger ? { logger } : {}),
  });
}

/** Pawl's own workflows: TypeScript in a checkout, JavaScript in the package. */
export function defaultWorkflowsPath(): string {
  const source = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));
  return existsSync(source)
    ? source
    : fileURLToPath(new URL('../workflows/index.js', import.meta.url));
}

/** In a checkout `pawl/workflows` means the sources, as it does for the process itself. */
function resolveLikeThisProcess<Config extends { resolve?: { conditionNames?: string[] } }>(
  config: Config,
): Config {
  if (!import.meta.url.endsWith('.ts')) return config;
  const conditionNames = ['pawl-source', ...(config.resolve?.conditionNames ?? ['...'])];
  return { ...config, resolve: { ...config.resolve, conditionNames } };
}

let isInstalled = false;

function installRuntime({ logLevel }: WorkerConfig): void {
  if (isInstalled) return;
  isInstalled = true;
  Runtime.install({
    logger: new DefaultLogger(logLevel, ({ level, timestampNanos, message, meta }) => {
      const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
      process.stderr.write(`${JSON.stringify({ time, level, message, ...meta }, replaceErrors)}\n`);
    }),
  });
}

function replaceErrors(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Error
    ? { name: value.name, message: value.message, stack: value.stack }
    : value;
}
