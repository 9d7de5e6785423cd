// withTestRun: an agent under test on real parts, everything started before the test's body and stopped behind it.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, Connection } from '@temporalio/client';
import type { ApprovalView } from '../client/approval-views.ts';
import { PawlClient } from '../client/pawl-client.ts';
import type { RunStatus } from '../client/run-views.ts';
import type { StartOptions } from '../client/start-run.ts';
import type { FinishedRun } from '../client/watch-run.ts';
import {
  type ModelProvider,
  startBank,
  startMailbox,
  startModelProvider,
} from '../devstack/receivers/index.ts';
import { type CleanUps, withCleanUps } from './clean-ups.ts';
import { createFreshDatabase } from './fresh-database.ts';
import type { History } from './save-history.ts';
import { describeStanding } from './describe-standing.ts';
import {
  type AnyAgent,
  type Receivers,
  type TestRunOptions,
  type TestSite,
  toModelScript,
  toWorkerOptions,
} from './test-run-options.ts';
import { findTestServers } from './test-servers.ts';
import { createTestWorker, type TestWorker } from './test-worker.ts';
import { until } from './until.ts';

/** A started run. */
export interface StartedTestRun {
  readonly runKey: string;
  /** How it ended; rejects when its workflow failed, and after 30 s with the status that it has then. */
  result(): Promise<FinishedRun>;
}

/** The hands of a test's body. */
export interface TestRun extends Receivers {
  readonly client: PawlClient;
  /** Temporal's own client: for workflows of your own. */
  readonly temporal: Client;
  readonly temporalAddress: string;
  readonly taskQueue: string;
  /** The ledger's database, for a look at its rows. */
  readonly databaseUrl: string;
  /** The model provider; `requests()` are the calls on the wire. */
  readonly model: ModelProvider;
  start(agent: string | AnyAgent, input: unknown, options?: StartOptions): Promise<StartedTestRun>;
  /** How a run ended; rejects when its workflow failed, and when time is up, with its status. @default 30_000 */
  result(runKey: string, timeoutMs?: number): Promise<FinishedRun>;
  /** Waits until the run has this status; the error names the one that it has. */
  untilStatus(runKey: string, status: RunStatus, timeoutMs?: number): Promise<void>;
  /** Waits until a human is asked. */
  nextApproval(runKey: string): Promise<ApprovalView>;
  /** The history of a run (or any workflow) as it is now. */
  history(runKey: string): Promise<History>;
  stopWorker(): Promise<void>;
  startWorker(): Promise<void>;
  /** Stops the worker in order and starts another: what is cached is gone. For a kill see `crashAt`. */
  restartWorker(): Promise<void>;
}

/**
 * Runs `body` with a real Temporal and PostgreSQL (see `findTestServers`), a fresh migrated database, a bank and a
 * mailbox, a model provider that speaks the script in the providers' own wire formats, and a worker in this process.
 * All of it is taken down afterwards, also when the body throws.
 */
export function withTestRun<T>(
  options: TestRunOptions,
  body: (t: TestRun) => Promise<T>,
): Promise<T> {
  return withCleanUps(async (cleanUps) => {
    const site = await openSite(options, cleanUps);
    const { requester = 'tester' } = options;
    const { temporalAddress, databaseUrl, taskQueue } = site;
    const client = await PawlClient.connect({ temporalAddress, databaseUrl, taskQueue, requester });
    cleanUps.add(() => client.close());
    const temporal = await connectTemporal(temporalAddress, cleanUps);
    const worker = createTestWorker(toWorkerOptions(options, site));
    cleanUps.add(() => worker.stop());
    // Before the worker is stopped: what hangs on a receiver would hold it up.
    cleanUps.add(() => closeReceivers(site));
    cleanUps.add(() => endWorkflows(temporal, taskQueue));
    await worker.start();
    return body(toTestRun(site, client, temporal, worker));
  });
}

async function openSite(options: TestRunOptions, cleanUps: CleanUps): Promise<TestSite> {
  const servers = await findTestServers();
  const folder = await mkdtemp(join(tmpdir(), 'pawl-test-'));
  cleanUps.add(() => rm(folder, { recursive: true, force: true }));
  const databaseUrl = await createFreshDatabase(servers.databaseUrl, cleanUps);
  const bank = await startBank({ logFile: join(folder, 'bank.jsonl') });
  cleanUps.add(() => bank.close());
  const mailbox = await startMailbox({ logFile: join(folder, 'mailbox.jsonl') });
  cleanUps.add(() => mailbox.close());
  const model = await startModelProvider({ script: toModelScript(options.model) });
  cleanUps.add(() => model.close());
  return {
    temporalAddress: options.temporalAddress ?? servers.temporalAddress,
    databaseUrl,
    taskQueue: `test-${randomBytes(6).toString('hex')}`,
    receivers: { bank, mailbox },
    model,
  };
}

async function connectTemporal(address: string, cleanUps: CleanUps): Promise<Client> {
  // Loaded when first needed, as the client does.
  const { Client, Connection } = await import('@temporalio/client');
  const connection: Connection = await Connection.connect({ address });
  cleanUps.add(() => connection.close());
  return new Client({ connection });
}

async function closeReceivers({ receivers, model }: TestSite): Promise<void> {
  await Promise.all([receivers.bank.close(), receivers.mailbox.close(), model.close()]);
}

/** What a test leaves open would wait on the server for a worker that never comes. */
async function endWorkflows({ schedule, workflow }: Client, taskQueue: string): Promise<void> {
  const ignore = (): undefined => undefined;
  await schedule.getHandle(`pawl-reconciler-${taskQueue}`).delete().catch(ignore);
  const query = `TaskQueue = '${taskQueue}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of workflow.list({ query })) {
    await workflow.getHandle(workflowId).terminate('its test is over').catch(ignore);
  }
}

function toTestRun(
  site: TestSite,
  client: PawlClient,
  temporal: Client,
  worker: TestWorker,
): TestRun {
  const result = (runKey: string, timeoutMs?: number): Promise<FinishedRun> =>
    awaitResult(client, temporal, runKey, timeoutMs);
  return {
    ...site.receivers,
    client,
    temporal,
    temporalAddress: site.temporalAddress,
    taskQueue: site.taskQueue,
    databaseUrl: site.databaseUrl,
    model: site.model,
    async start(agent, input, options) {
      const name = typeof agent === 'string' ? agent : agent.name;
      const { runKey } = await client.start(name, input, options);
      return { runKey, result: () => result(runKey) };
    },
    result,
    untilStatus: (runKey, status, timeoutMs) =>
      untilStatus(client, temporal, runKey, status, timeoutMs),
    nextApproval: (runKey) =>
      until(async () => (await client.approvals({ run: runKey }))[0], {
        what: `an approval of ${runKey}`,
      }),
    history: (runKey) => temporal.workflow.getHandle(runKey).fetchHistory(),
    stopWorker: () => worker.stop(),
    startWorker: () => worker.start(),
    async restartWorker() {
      await worker.stop();
      await worker.start();
    },
  };
}

const RESULT_TIMEOUT_MS = 90_000;

async function awaitResult(
  client: PawlClient,
  temporal: Client,
  runKey: string,
  timeoutMs = RESULT_TIMEOUT_MS,
): Promise<FinishedRun> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<'time-up'>((resolve) => {
    timer = setTimeout(() => resolve('time-up'), timeoutMs);
  });
  // Temporal answers at once, the client looks now and then.
  const ended = temporal.workflow.getHandle(runKey).result();
  try {
    const first = await Promise.race([ended, timeUp]);
    if (first !== 'time-up') return await client.result(runKey);
  } finally {
    clearTimeout(timer);
    ended.catch(() => undefined);
  }
  const where = await describeStanding(client, temporal, runKey);
  throw new Error(`${runKey} has not ended within ${timeoutMs} ms: ${where}`);
}

async function untilStatus(
  client: PawlClient,
  temporal: Client,
  runKey: string,
  wanted: RunStatus,
  timeoutMs?: number,
): Promise<void> {
  const isThere = async (): Promise<boolean> => (await client.show(runKey)).run.status === wanted;
  try {
    await until(isThere, timeoutMs === undefined ? {} : { timeoutMs });
  } catch (error) {
    const where = await describeStanding(client, temporal, runKey);
    throw new Error(`${runKey} is ${where}, not ${wanted}`, { cause: error });
  }
}
