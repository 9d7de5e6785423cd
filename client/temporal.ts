// The client's way to Temporal: connects when first needed, starts and wakes workflows, and says plainly when it cannot.
import { createConnection } from 'node:net';
import type { Client, Connection } from '@temporalio/client';
import {
  createHistoryConverter,
  type HistoryEncryption,
} from '../activities/encryption/encryption.ts';
import type {
  AgentRunInput,
  ControlMessage,
  DecidedMessage,
  SettledMessage,
  SteeredMessage,
  CompensateInput,
} from '../workflows/messages.ts';
import type { CompensationReport } from '../workflows/compensate.ts';
import type { ExecutionStanding } from '../domain/rules/execution-end.ts';
import { NamespaceUnknownError, TemporalUnreachableError } from './errors.ts';
import { AGENT_ATTRIBUTE, createAgentAttribute } from './search-attributes.ts';
import { nameOf, reasonOf, toTemporalError } from './temporal-errors.ts';
import {
  cancel,
  deleteHistories,
  fetchHistory,
  filterOpen,
  findStanding,
  listOpen,
} from './temporal-executions.ts';

/** Whether a workflow was woken. The row that was written before is the authority either way. */
export type Wake =
  | { readonly kind: 'delivered' }
  | {
      readonly kind: 'not-delivered';
      /**
       * `no-waiter`: no workflow is recorded as waiting. `signals-full`: Temporal takes no more signals before the run's
       * next step, which reads the rows.
       */
      readonly reason: 'workflow-ended' | 'temporal-unreachable' | 'no-waiter' | 'signals-full';
      readonly message: string;
    };

/** A signal by the name of its definition in workflows/messages. */
export type WakeSignal =
  | { readonly name: 'decided'; readonly message: DecidedMessage }
  | { readonly name: 'settled'; readonly message: SettledMessage }
  | { readonly name: 'paused' | 'resumed'; readonly message: ControlMessage }
  | { readonly name: 'steered'; readonly message: SteeredMessage };

export interface RunStart {
  readonly input: AgentRunInput;
  readonly taskQueue: string;
  /** One line for Temporal's UI. */
  readonly summary: string;
  /** Also where an execution before it has ended; never where it completed. @default false */
  readonly isAgain?: boolean | undefined;
}

export interface CompensationStart {
  readonly workflowId: string;
  readonly taskQueue: string;
  /** Stops the waiting only. */
  readonly signal?: AbortSignal;
}

/** What `doctor` asks of Temporal. */
export interface TemporalHealth {
  readonly serverVersion: string;
  readonly workflowPollers: number;
  readonly activityPollers: number;
}

export interface Temporal {
  readonly address: string;
  readonly namespace: string;
  /** Throws TemporalUnreachableError or NamespaceUnknownError when no call would come through. */
  ensureReachable(): Promise<void>;
  /** False when a workflow with this run key is or was already there. */
  startRun(start: RunStart): Promise<boolean>;
  wake(workflowId: string, signal: WakeSignal): Promise<Wake>;
  cancel(workflowId: string): Promise<Wake>;
  /** Run keys of the agent runs that are open on the queue, as far as Temporal's visibility knows by now. */
  listOpenRuns(taskQueue: string, limit: number): Promise<string[]>;
  /** Those of these workflow ids that visibility says are open by now. */
  filterOpen(workflowIds: readonly string[]): Promise<string[]>;
  /** Of the last execution under this workflow id; one that is paused in Temporal is open. */
  standing(workflowId: string): Promise<ExecutionStanding>;
  /** Starts the workflow, or finds the one that is under way, and waits for its end. */
  compensate(input: CompensateInput, start: CompensationStart): Promise<CompensationReport>;
  /** The whole history as protobuf object. */
  fetchHistory(workflowId: string): Promise<unknown>;
  health(taskQueue: string): Promise<TemporalHealth>;
  /** Deletes all executions with these ids, ended ones only; returns how many there were. */
  deleteHistories(workflowIds: readonly string[]): Promise<number>;
  /** How long Temporal keeps the history of an ended workflow, in milliseconds: so long it can be reset. */
  retentionMs(): Promise<number>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const CALL_TIMEOUT_MS = 10_000;

/** Nothing is connected before the first call, and the SDK is not even loaded: `pawl list` needs neither. */
export function createTemporal(
  address: string,
  namespace: string,
  encryption?: HistoryEncryption,
): Temporal {
  let opened: Promise<Opened> | undefined;
  const attribute = createAgentAttribute(namespace);
  const connect = (): Promise<Opened> => {
    opened ??= open(address, namespace, encryption);
    // A failed try is not kept: the next call tries again.
    opened.catch(() => (opened = undefined));
    return opened;
  };
  const call = async <T>(work: (opened: Opened) => Promise<T>): Promise<T> => {
    const connected = await connect();
    try {
      return await connected.client.withDeadline(Date.now() + CALL_TIMEOUT_MS, () =>
        work(connected),
      );
    } catch (error) {
      throw toTemporalError(error, address, namespace);
    }
  };
  return {
    address,
    namespace,
    ensureReachable: async () => {
      await call(({ connection }) => connection.workflowService.describeNamespace({ namespace }));
    },
    startRun: (start) =>
      call(({ client, connection }) =>
        attribute.whereTaken(connection, (isTaken) => startRun(client, start, isTaken)),
      ),
    wake: (workflowId, signal) =>
      attempt(() => call(({ client }) => send(client, workflowId, signal))),
    cancel: (workflowId) => attempt(() => call(({ client }) => cancel(client, workflowId))),
    listOpenRuns: (taskQueue, limit) => call(({ client }) => listOpen(client, taskQueue, limit)),
    filterOpen: (workflowIds) => call(({ client }) => filterOpen(client, workflowIds)),
    standing: (workflowId) => call(({ client }) => findStanding(client, workflowId)),
    compensate: async (input, start) => {
      const connected = await connect();
      try {
        return await compensate(connected, input, start);
      } catch (error) {
        throw start.signal?.aborted ? error : toTemporalError(error, address, namespace);
      }
    },
    fetchHistory: (workflowId) => call(({ client }) => fetchHistory(client, workflowId, address)),
    deleteHistories: (workflowIds) =>
      call((opened) => deleteHistories(opened, namespace, workflowIds)),
    retentionMs: () => call(({ connection }) => askRetention(connection, namespace)),
    health: (taskQueue) => call(({ connection }) => askHealth(connection, namespace, taskQueue)),
    close: async () => {
      const connected = await opened?.catch(() => undefined);
      await connected?.connection.close();
    },
  };
}

export interface Opened {
  readonly connection: Connection;
  readonly client: Client;
}

async function open(
  address: string,
  namespace: string,
  encryption?: HistoryEncryption,
): Promise<Opened> {
  const temporal = await import('@temporalio/client');
  const refusal = await findRefusal(address);
  if (refusal) throw new TemporalUnreachableError(address, refusal);
  try {
    const connection = await temporal.Connection.connect({
      address,
      connectTimeout: CONNECT_TIMEOUT_MS,
    });
    const dataConverter = encryption && createHistoryConverter(encryption);
    const client = new temporal.Client({
      connection,
      namespace,
      ...(dataConverter ? { dataConverter } : {}),
    });
    return { connection, client };
  } catch (error) {
    throw new TemporalUnreachableError(address, reasonOf(error), error);
  }
}

const PROXIES = ['grpc_proxy', 'https_proxy', 'http_proxy'];

/** gRPC tries a refused connection again until its deadline: a plain socket knows at once, and knows why. */
function findRefusal(address: string): Promise<string | undefined> {
  const [, host, port] = /^\[?([^/]+?)\]?:(\d+)$/.exec(address) ?? [];
  const isProxied = PROXIES.some((name) => process.env[name]);
  if (!host || !port || isProxied) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port), timeout: CONNECT_TIMEOUT_MS });
    const end = (refusal?: string): void => {
      socket.destroy();
      resolve(refusal);
    };
    socket.once('connect', () => end());
    socket.once('timeout', () => end());
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.message || error.code));
  });
}

/** A task that a dead worker has taken is given to another one after this; Temporal lengthens it for a task that fails. */
const WORKFLOW_TASK_TIMEOUT = '4s';

async function startRun(
  client: Client,
  { input, taskQueue, summary, isAgain = false }: RunStart,
  hasAttribute: boolean,
): Promise<boolean> {
  const { defineSearchAttributeKey } = await import('@temporalio/common');
  const { WorkflowType } = await import('../workflows/messages.ts');
  try {
    // No retry policy and no execution time-out: a run ends by its own rules only.
    await client.workflow.start(WorkflowType.AgentRun, {
      workflowId: input.runKey,
      taskQueue,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      args: [input],
      workflowIdReusePolicy: isAgain ? 'ALLOW_DUPLICATE_FAILED_ONLY' : 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'FAIL',
      staticSummary: summary,
      ...(hasAttribute
        ? {
            typedSearchAttributes: [
              { key: defineSearchAttributeKey(AGENT_ATTRIBUTE, 'KEYWORD'), value: input.agent },
            ],
          }
        : {}),
    });
    return true;
  } catch (error) {
    if (nameOf(error) === 'WorkflowExecutionAlreadyStartedError') return false;
    throw error;
  }
}

/** Waiting takes as long as a human takes: it has no deadline. */
async function compensate(
  { client, connection }: Opened,
  input: CompensateInput,
  { workflowId, taskQueue, signal }: CompensationStart,
): Promise<CompensationReport> {
  const { WorkflowType } = await import('../workflows/messages.ts');
  const work = async (): Promise<CompensationReport> => {
    const handle = await client.workflow.start(WorkflowType.Compensate, {
      workflowId,
      taskQueue,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `undo ${input.runKey}`,
    });
    return (await handle.result()) as CompensationReport;
  };
  if (!signal) return work();
  signal.throwIfAborted();
  // The SDK does not hear of an abort between two calls.
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([connection.withAbortSignal(signal, work), aborted]);
}

async function send(client: Client, workflowId: string, signal: WakeSignal): Promise<void> {
  const messages = await import('../workflows/messages.ts');
  await client.workflow.getHandle(workflowId).signal(messages[signal.name].name, signal.message);
}

async function askRetention(connection: Connection, namespace: string): Promise<number> {
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  return Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) * 1_000;
}

async function askHealth(
  connection: Connection,
  namespace: string,
  taskQueue: string,
): Promise<TemporalHealth> {
  const { workflowService } = connection;
  const [system, workflows, activities] = await Promise.all([
    workflowService.getSystemInfo({}),
    workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: 1,
    }),
    workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: 2,
    }),
    workflowService.describeNamespace({ namespace }),
  ]);
  return {
    serverVersion: system.serverVersion,
    workflowPollers: workflows.pollers.length,
    activityPollers: activities.pollers.length,
  };
}

/** A row was written before every wake: what fails here is said, not thrown. */
async function attempt(deliver: () => Promise<unknown>): Promise<Wake> {
  try {
    await deliver();
    return { kind: 'delivered' };
  } catch (error) {
    if (nameOf(error) === 'WorkflowNotFoundError') {
      const message = 'no such workflow is running (it has ended, or was never started)';
      return { kind: 'not-delivered', reason: 'workflow-ended', message };
    }
    if (error instanceof TemporalUnreachableError || error instanceof NamespaceUnknownError) {
      return { kind: 'not-delivered', reason: 'temporal-unreachable', message: error.message };
    }
    // 10,000 for one execution: those before it wake the run, and a long history goes on in a new execution.
    if (/limit for signal events/.test(reasonOf(error))) {
      const message = 'Temporal holds 10,000 signals for it already; its next step sees this';
      return { kind: 'not-delivered', reason: 'signals-full', message };
    }
    throw error;
  }
}
