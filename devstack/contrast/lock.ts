// `npm run contrast -- lock`: the holder of a task is frozen before it pays, another one takes over, then it is thawed.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { Payment } from '../../examples/contrast/lock/payment.ts';
import { packageRoot } from '../../activities/package-root.ts';
import { type Bank, startBank } from '../receivers/index.ts';
import type { WorkerProcess } from '../worker-process.ts';
import { type CutLine, openCutLine } from './cut-line.ts';
import { startGuardedWorker } from './guarded-worker.ts';
import { createTable } from './report.ts';
import type { Outcome, Scene } from './scene.ts';
import { openServers } from './servers.ts';
import type { Servers } from './system.ts';
import { toPawlEnv } from './systems.ts';
import { waitUntil } from './wait-until.ts';

const TTL_MS = 2_000;
const PATIENCE_MS = 120_000;
/** How long the bank takes for the first look-up: the holder is frozen while it waits for that. */
const LOOK_UP_MS = 2_000;
const TASK: Payment = {
  reference: 'task-1',
  payee: 'payee-7',
  amountMinor: 12_500,
  currency: 'EUR',
};

export interface LockRun {
  readonly name: 'with-ttl' | 'with-effect';
  readonly receipts: number;
  /** Payments that reached the bank. */
  readonly sends: number;
  readonly frozenMs: number;
}

/** Two workers of one kind on one task. */
interface Pair {
  readonly name: LockRun['name'];
  readonly scene: Scene;
  readonly bank: Bank;
  readonly env: Readonly<Record<string, string>>;
}

export async function lockContrast(scene: Scene): Promise<Outcome> {
  const servers = await openServers(scene);
  const runs = await Promise.all([withTtl(scene, servers), withEffect(scene, servers)]);
  scene.signal.throwIfAborted();
  const problem = whatIsWrongWithLocks(runs);
  return {
    result: { v: 1, ttlMs: TTL_MS, runs, problem: problem ?? null },
    text: render(runs),
    problem,
    success: 'the lock with a TTL let both pay; effect() paid once',
  };
}

/** Why the scenario fails; undefined when it does not. */
export function whatIsWrongWithLocks([ttl, effect]: readonly LockRun[]): string | undefined {
  if (!ttl || !effect) return 'a pair did not run';
  if (ttl.frozenMs <= TTL_MS) return 'THE HOLDER WAS NOT FROZEN LONGER THAN THE TTL';
  if (ttl.receipts < 2) return 'THE LOCK WITH A TTL PAID ONCE: this freeze proves nothing';
  if (effect.receipts !== 1) return `WITH EFFECT: ${effect.receipts} receipts for one task`;
  return undefined;
}

async function withTtl(scene: Scene, { databaseUrl }: Servers): Promise<LockRun> {
  const env = {
    DATABASE_URL: databaseUrl,
    LOCK_TTL_MS: String(TTL_MS),
    TASK: JSON.stringify(TASK),
  };
  return withPair('with-ttl', scene, env, async (pair) => {
    const holder = await startWorker(pair, 'holder');
    await untilLookedUp(pair);
    const frozenAtMs = freeze(pair, holder);
    const second = await startWorker(pair, 'second');
    await second.gone;
    const frozenMs = thaw(pair, holder, frozenAtMs);
    await holder.gone;
    return frozenMs;
  });
}

async function withEffect(scene: Scene, servers: Servers): Promise<LockRun> {
  return withPair('with-effect', scene, toPawlEnv(servers), async (pair) => {
    const lines = [await openLine(scene, servers), await openLine(scene, servers)] as const;
    const workers = await Promise.all([
      startWorker(pair, 'first', { TEMPORAL_ADDRESS: lines[0].address }),
      startWorker(pair, 'second', { TEMPORAL_ADDRESS: lines[1].address }),
    ]);
    const handle = await servers.client.workflow.start('runTask', {
      workflowId: TASK.reference,
      taskQueue: 'pawl',
      args: [TASK],
    });
    await untilLookedUp(pair);
    const holder = await findHolder(handle, workers);
    const frozenAtMs = freeze(pair, holder);
    // A frozen process keeps its polls open, and Temporal gives each next attempt to them: up to a minute.
    lines[workers.indexOf(holder)]?.cut();
    await servers.client.withAbortSignal(scene.signal, () => handle.result());
    const frozenMs = thaw(pair, holder, frozenAtMs);
    // Told to stop, a worker first ends what it has begun: nothing of the holder's comes later.
    await Promise.all(workers.map((worker) => worker.stop()));
    return frozenMs;
  });
}

async function openLine(scene: Scene, { temporalAddress }: Servers): Promise<CutLine> {
  const line = await openCutLine(temporalAddress);
  scene.atEnd(() => line.close());
  return line;
}

/** Temporal knows which worker has the activity: its identity begins with the process id. */
async function findHolder(
  handle: Pick<WorkflowHandle, 'describe'>,
  workers: readonly WorkerProcess[],
): Promise<WorkerProcess> {
  const { raw } = await handle.describe();
  const identity = raw.pendingActivities?.[0]?.lastWorkerIdentity ?? '';
  const holder = workers.find(({ pid }) => identity.startsWith(`${pid}@`));
  if (!holder) throw new Error(`with-effect: no worker of ours has the task, but "${identity}"`);
  return holder;
}

async function withPair(
  name: LockRun['name'],
  scene: Scene,
  env: Readonly<Record<string, string>>,
  play: (pair: Pair) => Promise<number>,
): Promise<LockRun> {
  mkdirSync(join(scene.folder, name), { recursive: true });
  const bank = await startBank({ logFile: join(scene.folder, name, 'bank.jsonl') });
  scene.atEnd(() => bank.close());
  bank.setMode('/transfers', 'no-idempotency');
  const lookUp = { method: 'GET', path: '/transfers' };
  bank.setMode(lookUp, 'slow', { delayMs: LOOK_UP_MS, times: 1 });
  const frozenMs = await play({ name, scene, bank, env: { ...env, BANK_URL: bank.url } });
  const { reference } = TASK;
  const sends = bank.requests({ method: 'POST' }).length;
  return { name, receipts: bank.receipts({ reference }).length, sends, frozenMs };
}

async function startWorker(
  { name, scene, env }: Pair,
  which: string,
  own: Readonly<Record<string, string>> = {},
): Promise<WorkerProcess> {
  const folder = join(scene.folder, name);
  const worker = await startGuardedWorker({
    file: join(packageRoot(), `examples/contrast/lock/${name}/worker.ts`),
    name: which,
    dataDir: folder,
    logFile: join(folder, `${which}.log`),
    env: { ...env, ...own },
  });
  scene.atEnd(() => worker.kill());
  scene.say(`${name}: the ${which} (pid ${worker.pid}) is up`);
  return worker;
}

/** Whoever asked the bank has the task, waits for the answer, and has not paid. */
async function untilLookedUp({ name, scene, bank }: Pair): Promise<void> {
  const looks = (): boolean => bank.requests({ method: 'GET' }).length > 0;
  const isDue = await waitUntil(looks, { signal: scene.signal, patienceMs: PATIENCE_MS });
  if (!isDue) throw new Error(`${name}: nobody has asked the bank`);
}

/** Returns when. */
function freeze({ name, scene, bank }: Pair, { pid }: WorkerProcess): number {
  process.kill(pid, 'SIGSTOP');
  if (bank.requests({ method: 'POST' }).length > 0) {
    throw new Error(
      `${name}: the holder was frozen too late, on a machine this busy: run it again`,
    );
  }
  scene.say(`${name}: the holder (pid ${pid}) is frozen with SIGSTOP; it has not paid`);
  return Date.now();
}

function thaw({ name, scene, bank }: Pair, holder: WorkerProcess, frozenAtMs: number): number {
  const frozenMs = Date.now() - frozenAtMs;
  const { length } = bank.receipts({ reference: TASK.reference });
  scene.say(
    `${name}: the other one has paid (${length} receipt); the holder is thawed with SIGCONT`,
  );
  process.kill(holder.pid, 'SIGCONT');
  return frozenMs;
}

function render(runs: readonly LockRun[]): string {
  const table = createTable(['one task, two workers', ...runs.map(({ name }) => name)]);
  const row = (what: string, read: (run: LockRun) => string | number): void => {
    table.push([what, ...runs.map((run) => String(read(run)))]);
  };
  row('the holder was frozen for', ({ frozenMs }) => `${(frozenMs / 1_000).toFixed(1)} s`);
  row('payments on the wire', ({ sends }) => sends);
  row("the bank's receipts", ({ receipts }) => receipts);
  row('DUPLICATES', ({ receipts }) => Math.max(0, receipts - 1));
  return `${table.toString()}\n  with-ttl: a lock row in PostgreSQL with a TTL of ${TTL_MS} ms, taken before the look-up and the payment`;
}
