// What a test run is made of: its options, and the worker that follows from them.
import { randomBytes } from 'node:crypto';
import type { CrashHook } from '../activities/effects/crash-points.ts';
import type {
  Bank,
  Mailbox,
  ModelAnswer,
  ModelProvider,
  ModelScript,
} from '../devstack/receivers/index.ts';
import { scriptedReplies } from '../devstack/receivers/index.ts';
import type { Agent } from '../domain/schemas/define-agent.ts';
import type { AnyTool } from '../domain/schemas/define-tool.ts';
import type { CreateWorkerOptions } from '../workers/create-worker.ts';

// An agent's input and output types are its own business here.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyAgent = Agent<any, any>;

/** The outside world of a test: real HTTP servers that log what reached them. */
export interface Receivers {
  readonly bank: Bank;
  readonly mailbox: Mailbox;
}

export interface TestRunOptions {
  /** A function where tools need the receivers' addresses. */
  readonly agents?: readonly AnyAgent[] | ((receivers: Receivers) => readonly AnyAgent[]);
  /** Tools for `effect()` in workflows of your own. */
  readonly tools?: readonly AnyTool[] | ((receivers: Receivers) => readonly AnyTool[]);
  /** What the model says: replies in order, or a function of the request. @default no request is expected */
  readonly model?: ModelScript | ReadonlyArray<ModelAnswer | ModelScript>;
  /** Your own workflows: a module that also exports everything of `pawl/workflows`. @default Pawl's alone */
  readonly workflowsPath?: string;
  /** 0 replays every workflow task from the start of its history. @default 200 */
  readonly maxCachedWorkflows?: number;
  /** `crashAt(…)`, or a hook of your own. */
  readonly crash?: CrashHook;
  /** Whether tools may reach loopback addresses, where the receivers are. @default 'allow' */
  readonly privateNetworks?: 'allow' | 'refuse';
  /** A Temporal of your own. @default the one that `findTestServers` finds */
  readonly temporalAddress?: string;
  /** Who starts runs: never the approver. @default 'tester' */
  readonly requester?: string;
  /** Anything else of the worker. */
  readonly worker?: Pick<
    CreateWorkerOptions,
    'activities' | 'prices' | 'providers' | 'random' | 'reconcileEveryMs' | 'shutdownGraceTime'
  >;
}

/** Where the worker of a test run works. */
export interface TestSite {
  readonly temporalAddress: string;
  readonly databaseUrl: string;
  readonly taskQueue: string;
  readonly receivers: Receivers;
  readonly model: ModelProvider;
}

/** The model's script; a test without one expects no model call. */
export function toModelScript(model: TestRunOptions['model'] = []): ModelScript {
  return typeof model === 'function' ? model : scriptedReplies(model);
}

/** The worker: real SDK adapters on the local provider, a task queue of its own, quiet logs. */
export function toWorkerOptions(options: TestRunOptions, site: TestSite): CreateWorkerOptions {
  const { receivers, model } = site;
  const { workflowsPath, maxCachedWorkflows, crash } = options;
  return {
    shutdownGraceTime: '1s',
    ...options.worker,
    agents: resolve(options.agents, receivers),
    tools: resolve(options.tools, receivers),
    ...(workflowsPath === undefined ? {} : { workflowsPath }),
    ...(maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows }),
    ...(crash === undefined ? {} : { crash }),
    config: {
      temporalAddress: site.temporalAddress,
      namespace: 'default',
      taskQueue: site.taskQueue,
      databaseUrl: site.databaseUrl,
      anthropic: { apiKey: 'test-key', baseURL: model.url },
      openai: { apiKey: 'test-key', baseURL: model.openaiBaseUrl },
      privateNetworks: options.privateNetworks ?? 'allow',
      buildId: 'test',
      identity: `${process.pid}@${randomBytes(4).toString('hex')}`,
      migrates: false,
      crashAt: undefined,
      logLevel: 'ERROR',
    },
  };
}

function resolve<T>(
  given: readonly T[] | ((receivers: Receivers) => readonly T[]) | undefined,
  receivers: Receivers,
): readonly T[] {
  return typeof given === 'function' ? given(receivers) : (given ?? []);
}
