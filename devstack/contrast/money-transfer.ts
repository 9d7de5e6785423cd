// `npm run contrast -- money-transfer`: the documentation's money transfer, its worker killed after the withdrawal.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PaymentDetails } from '../../examples/money-transfer/transfer.ts';
import { packageRoot } from '../../activities/package-root.ts';
import { type Bank, startBank } from '../receivers/index.ts';
import type { WorkerProcess } from '../worker-process.ts';
import { startGuardedWorker } from './guarded-worker.ts';
import { type Changes, createTable, findChanges, renderChanges, tooManyLines } from './report.ts';
import type { Outcome, Scene } from './scene.ts';
import { openServers } from './servers.ts';
import type { Servers } from './system.ts';
import { toPawlEnv } from './systems.ts';
import { waitUntil } from './wait-until.ts';

const EXAMPLE = 'examples/money-transfer';
const PATIENCE_MS = 120_000;
const SLOW_MS = 2_500;
const VERSIONS = ['plain', 'with-effect'] as const;
/** Keys honoured, or not: then a bank can only be asked by reference. */
const BANKS = ['honour keys', 'ignore keys'] as const;

export interface TransferRun {
  readonly version: (typeof VERSIONS)[number];
  readonly banks: (typeof BANKS)[number];
  readonly withdrawals: number;
  readonly deposits: number;
  /** What the workflow returned, or why it failed. */
  readonly result: string;
}

export async function moneyTransferContrast(scene: Scene): Promise<Outcome> {
  const changes = findChanges(join(packageRoot(), EXAMPLE));
  const servers = await openServers(scene);
  const runs = await Promise.all(
    VERSIONS.flatMap((version) => BANKS.map((banks) => transfer(version, banks, scene, servers))),
  );
  scene.signal.throwIfAborted();
  const problem = whatIsWrongWithTransfers(runs) ?? tooManyLines(changes);
  return {
    result: { v: 1, runs, changes, problem: problem ?? null },
    text: render(runs, changes),
    problem,
    success: 'with effect() the money moved once, whatever the banks do with keys',
  };
}

/** Why the scenario fails; undefined when it does not. */
export function whatIsWrongWithTransfers(runs: readonly TransferRun[]): string | undefined {
  const isRight = (run: TransferRun): boolean => run.withdrawals === 1 && run.deposits === 1;
  const [plain, withEffect] = VERSIONS.map((name) => runs.filter((run) => run.version === name));
  if (!plain?.some(({ withdrawals }) => withdrawals > 1)) {
    return 'THE PLAIN VERSION WITHDREW NOTHING TWICE: this kill proves nothing';
  }
  const wrong = withEffect?.find((run) => !isRight(run));
  if (!wrong) return undefined;
  const { banks, withdrawals, deposits } = wrong;
  return `WITH EFFECT, banks that ${banks}: ${withdrawals} withdrawals, ${deposits} deposits`;
}

interface Stage {
  readonly name: string;
  readonly scene: Scene;
  readonly start: (which: string) => Promise<WorkerProcess>;
}

async function transfer(
  version: TransferRun['version'],
  banks: TransferRun['banks'],
  scene: Scene,
  servers: Servers,
): Promise<TransferRun> {
  const name = `${version}, banks ${banks}`;
  const taskQueue = name.replaceAll(/\W+/g, '-');
  const details: PaymentDetails = {
    sourceAccount: '85-150',
    targetAccount: '43-812',
    amountMinor: 40_000,
    referenceId: taskQueue,
  };
  const bank = await openBank(taskQueue, banks, scene);
  const withdrawal = { reference: `withdraw-${taskQueue}` };
  bank.setMode(withdrawal, 'slow', { delayMs: SLOW_MS, times: 1 });
  const env = { ...toPawlEnv(servers), ...bankEnv(bank, banks), ...queueEnv(taskQueue) };
  const stage = { name, scene, start: starter(version, taskQueue, env, scene) };
  const first = await stage.start('worker-1');
  const handle = await servers.client.workflow.start('moneyTransfer', {
    workflowId: taskQueue,
    taskQueue,
    args: [details],
  });
  await killAndReplace(stage, first, () => bank.receipts(withdrawal).length > 0);
  const result = await servers.client
    .withAbortSignal(scene.signal, () => handle.result())
    .then(String, String);
  const deposits = bank.receipts({ reference: `deposit-${taskQueue}` }).length;
  scene.say(`${name}: ${result}`);
  return { version, banks, withdrawals: bank.receipts(withdrawal).length, deposits, result };
}

async function openBank(folder: string, banks: TransferRun['banks'], scene: Scene): Promise<Bank> {
  mkdirSync(join(scene.folder, folder), { recursive: true });
  const bank = await startBank({ logFile: join(scene.folder, folder, 'bank.jsonl') });
  scene.atEnd(() => bank.close());
  if (banks === 'ignore keys') bank.setMode('/transfers', 'no-idempotency');
  return bank;
}

function bankEnv({ url }: Bank, banks: TransferRun['banks']): Record<string, string> {
  const honoured = banks === 'honour keys' ? 'yes' : 'no';
  return { SOURCE_BANK_URL: url, TARGET_BANK_URL: url, BANKS_HONOUR_KEYS: honoured };
}

function queueEnv(taskQueue: string): Record<string, string> {
  return { TASK_QUEUE: taskQueue, PAWL_TASK_QUEUE: taskQueue };
}

function starter(
  version: TransferRun['version'],
  folder: string,
  env: Readonly<Record<string, string>>,
  scene: Scene,
): Stage['start'] {
  return async (which) => {
    const dataDir = join(scene.folder, folder);
    const worker = await startGuardedWorker({
      file: join(packageRoot(), EXAMPLE, version, 'worker.ts'),
      name: which,
      dataDir,
      logFile: join(dataDir, `${which}.log`),
      env,
    });
    scene.atEnd(() => worker.kill());
    return worker;
  };
}

async function killAndReplace(
  { name, scene, start }: Stage,
  worker: WorkerProcess,
  isDue: () => boolean,
): Promise<void> {
  const came = await waitUntil(isDue, { signal: scene.signal, patienceMs: PATIENCE_MS });
  if (!came) throw new Error(`${name}: the bank has no withdrawal`);
  await worker.kill();
  scene.say(`${name}: the bank has committed the withdrawal; the worker is killed`);
  await start('worker-2');
}

function render(runs: readonly TransferRun[], changes: Changes): string {
  const table = createTable(["the banks' receipts", ...BANKS.map((banks) => `banks ${banks}`)]);
  const cell = (run: TransferRun | undefined): string =>
    `${run?.withdrawals} withdrawal(s), ${run?.deposits} deposit(s)`;
  for (const version of VERSIONS) {
    const find = (banks: TransferRun['banks']): TransferRun | undefined =>
      runs.find((run) => run.version === version && run.banks === banks);
    table.push([version, ...BANKS.map((banks) => cell(find(banks)))]);
  }
  return `${table.toString()}\n${renderChanges(changes)}`;
}
