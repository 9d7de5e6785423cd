// `pawl worker` as a user runs it: its worker is really killed, frozen and stopped; the bank's own log is the judge.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { type Site, withSite } from '../../bench/recovery/site.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { until } from '../../testing/until.ts';
import { guarantee } from '../guarantee.ts';
import { NOTE_MODULES, readLoadedPackages } from './fixtures/loaded-packages.ts';

const CLI = new URL('../../client/cli/main.ts', import.meta.url).pathname;
const WORKER = new URL('../../bench/recovery/worker.ts', import.meta.url).pathname;
const TEST_MS = 120_000;
/** Longer than a sticky queue keeps its tasks, and than a workflow task may take. */
const FROZEN_MS = 5_000;

interface Line {
  readonly event: string;
  readonly pid: number;
  readonly identities: readonly string[];
  readonly activities: number;
  readonly workflowTasks: number;
}

interface Supervisor {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  all(event: string): readonly Line[];
  /** The worker that polls while a spare stands by. */
  steady(): Promise<Line>;
}

let site: Site;
let temporal: Client;
let supervisor: Supervisor;
let leave: () => void;
let left: Promise<void>;

function startSupervisor({ env, folder }: Site, ...words: string[]): Supervisor {
  const child = spawn(
    process.execPath,
    [...runtimeArguments(CLI), CLI, 'worker', ...words, '--json'],
    {
      env: {
        ...process.env,
        ...env,
        NODE_OPTIONS: `--no-warnings --import ${NOTE_MODULES}`,
        MODULES_FILE: modulesFile(folder),
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    // What is wrong with the command line comes as a document of several lines.
    if (line.startsWith('{"time"')) lines.push(JSON.parse(line) as Line);
  });
  const all = (event: string): readonly Line[] => lines.filter((line) => line.event === event);
  return {
    child,
    exit: once(child, 'exit').then(([code]: unknown[]) => code as number | null),
    all,
    steady: () =>
      until(
        () => {
          const [worker] = all('polling').slice(-1);
          const isDead = all('died').some(({ pid }) => pid === worker?.pid);
          const isSpareThere = all('spare').length > all('died').length;
          return !isDead && isSpareThere && worker;
        },
        { what: `a worker and a spare in ${JSON.stringify(lines)}` },
      ),
  };
}

beforeAll(async () => {
  const entered = new Promise<void>((resolve, reject) => {
    left = withSite(`supervised-${process.pid}`, (opened) => {
      site = opened;
      resolve();
      return new Promise<void>((done) => (leave = done));
    });
    left.catch(reject);
  });
  await entered;
  const connection = await Connection.connect({ address: site.env['TEMPORAL_ADDRESS'] ?? '' });
  temporal = new Client({ connection });
  supervisor = startSupervisor(site, WORKER);
  await supervisor.steady();
}, TEST_MS);
afterAll(async () => {
  supervisor.child.kill('SIGTERM');
  await supervisor.exit;
  await temporal.connection.close();
  leave();
  await left;
}, TEST_MS);

/** Once a worker polls; a duration would depend on the machine. */
const NOT_BEFORE_POLLING = ['@swc/core', 'terser', 'node-pg-migrate', 'commander'];
/** A first worker that is told late to run takes itself for a spare, and loads them when it is ready: not before. */
const NOT_BEFORE_READY = ['@anthropic-ai/sdk', 'openai'];
/** The SDK loads the entry of the bundler, which loads the bundler when it is used. */
const WEBPACK_ENTRY_MODULES = 2;

function modulesFile(folder: string): string {
  return join(folder, 'modules.txt');
}

const receiptsOf = (reference: string) => site.bank.receipts({ reference });
const isPaid = (reference: string) => until(() => receiptsOf(reference)[0], { what: reference });

async function expectCompleted(runKey: string, references: readonly string[]): Promise<void> {
  const { result } = await site.client.result(runKey, { signal: AbortSignal.timeout(60_000) });
  expect(result?.kind).toBe('completed');
  for (const reference of references) expect(receiptsOf(reference)).toHaveLength(1);
}

async function untilAsked(runKey: string): Promise<string> {
  const ask = async () => (await site.client.approvals({ run: runKey }))[0];
  return (await until(ask, { what: `an approval of ${runKey}` })).id;
}

async function pendingTaskState(runKey: string): Promise<number | null | undefined> {
  const { raw } = await temporal.workflow.getHandle(runKey).describe();
  return raw.pendingWorkflowTask?.state;
}

/** PENDING_WORKFLOW_TASK_STATE_STARTED */
const TAKEN = 2;

describe('the first worker, with a bundle that was made before', () => {
  it('polls → it has loaded no bundler, compiler, migration or SDK of a model, the supervisor no client before it', async () => {
    const { pid } = await supervisor.steady();
    const packages = new Map(
      readLoadedPackages(modulesFile(site.folder))
        .filter((each) => each.pid === pid)
        .map((each) => [each.name, each]),
    );
    const readyAt = packages.get('@temporalio/worker')?.lastAt ?? Infinity;
    expect(readyAt).toBeLessThan(Infinity);
    const isTooEarly = (name: string) => (packages.get(name)?.firstAt ?? Infinity) <= readyAt;
    expect(NOT_BEFORE_READY.filter(isTooEarly)).toEqual([]);
    expect(NOT_BEFORE_POLLING.filter((name) => packages.has(name))).toEqual([]);
    expect(packages.get('webpack')?.modules).toBeLessThanOrEqual(WEBPACK_ENTRY_MODULES);
    // The order in the file is the order of loading: the command line, the supervisor, the worker, and then the client.
    const client = await until(
      () => {
        const all = readLoadedPackages(modulesFile(site.folder));
        const [, parent] = new Set(all.map((each) => each.pid));
        const at = (of?: number) =>
          all.findIndex((each) => each.pid === of && each.name === '@temporalio/client');
        return at(parent) >= 0 && { ofWorker: at(pid), ofSupervisor: at(parent) };
      },
      { what: "the supervisor's connection to Temporal" },
    );
    expect(client.ofSupervisor).toBeGreaterThan(client.ofWorker);
  });
});

describe('the worker is killed with SIGKILL', () => {
  guarantee(
    ['F-31', 'F-34', 'supervised'],
    'in the middle of a transfer → the spare goes on, the activity is handed back, one receipt each',
    async () => {
      const { pid } = await supervisor.steady();
      site.bank.setMode('mid-2', 'slow', { delayMs: 3_000, times: 1 });
      const { runKey } = await site.client.start('payer', { name: 'mid', turns: 3 });
      await isPaid('mid-2');
      process.kill(pid, 'SIGKILL');
      await expectCompleted(runKey, ['mid-1', 'mid-2', 'mid-3']);
      const [settled] = await until(
        () => supervisor.all('settled').length > 0 && supervisor.all('settled'),
      );
      expect(settled).toMatchObject({ activities: 1 });
      expect(supervisor.all('died')).toMatchObject([{ pid, how: 'SIGKILL' }]);
    },
    TEST_MS,
  );

  guarantee(
    ['F-34', 'supervised'],
    'with a workflow task that it has taken and not answered → the task is handed back, the approved transfer is sent once',
    async () => {
      const { pid } = await supervisor.steady();
      const { runKey } = await site.client.start('asker', { name: 'task', turns: 1 });
      const approval = await untilAsked(runKey);
      await until(async () => (await pendingTaskState(runKey)) === undefined);
      process.kill(pid, 'SIGSTOP');
      await site.client.approve(approval, { approver: 'a-human' });
      await until(async () => (await pendingTaskState(runKey)) === TAKEN, { everyMs: 5 });
      const before = supervisor.all('settled').length;
      process.kill(pid, 'SIGKILL');
      await expectCompleted(runKey, ['task-1']);
      const settled = await until(() => supervisor.all('settled')[before]);
      expect(settled).toMatchObject({ workflowTasks: 1 });
    },
    TEST_MS,
  );

  guarantee(
    ['S3-28', 'supervised'],
    'while its run waits for a human → nothing is lost, the approval is taken by the next worker',
    async () => {
      const { pid } = await supervisor.steady();
      const { runKey } = await site.client.start('asker', { name: 'between', turns: 1 });
      const approval = await untilAsked(runKey);
      process.kill(pid, 'SIGKILL');
      await site.client.approve(approval, { approver: 'a-human' });
      await expectCompleted(runKey, ['between-1']);
    },
    TEST_MS,
  );
});

describe('the worker is not dead', () => {
  guarantee(
    ['S1-13', 'supervised'],
    'frozen with SIGSTOP for longer than every time-out of workflow tasks → nothing is done to it; thawed, it ends the run, one receipt each',
    async () => {
      const { pid } = await supervisor.steady();
      const died = supervisor.all('died').length;
      const polling = supervisor.all('polling').length;
      const { runKey } = await site.client.start('payer', { name: 'frozen', turns: 2 });
      await isPaid('frozen-1');
      process.kill(pid, 'SIGSTOP');
      await sleep(FROZEN_MS);
      expect(supervisor.all('died')).toHaveLength(died);
      expect(supervisor.all('polling')).toHaveLength(polling);
      process.kill(pid, 'SIGCONT');
      await expectCompleted(runKey, ['frozen-1', 'frozen-2']);
    },
    TEST_MS,
  );

  it('SIGTERM with a transfer on the wire → its outcome is recorded, exit 0, no process is left', async () => {
    const { pid } = await supervisor.steady();
    site.bank.setMode('stop-1', 'slow', { delayMs: 1_000, times: 1 });
    const { runKey } = await site.client.start('payer', { name: 'stop', turns: 2 });
    await isPaid('stop-1');
    supervisor.child.kill('SIGTERM');
    expect(await supervisor.exit).toBe(0);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    const [effect] = await site.client.effects({ run: runKey });
    expect(effect).toMatchObject({ status: 'applied' });
    expect(receiptsOf('stop-1')).toHaveLength(1);
    await temporal.workflow.getHandle(runKey).terminate('its test is over');
  });
});

describe('the command line', () => {
  it('a module that fails at its start → exit 1, and what it printed stands above', async () => {
    const broken = {
      ...site,
      env: { ...site.env, PAWL_WORKFLOW_BUNDLE: join(site.folder, 'no-bundle.js') },
    };
    const { exit, all } = startSupervisor(broken, WORKER);
    expect(await exit).toBe(1);
    expect(all('died')).toMatchObject([{ how: 'exit 1' }]);
  });

  it('a module that is not there → exit 2', async () => {
    const { exit } = startSupervisor(site, 'nowhere.ts');
    expect(await exit).toBe(2);
  });
});
