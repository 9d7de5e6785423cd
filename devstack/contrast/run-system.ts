// Runs one system through the plan: its banks, its worker processes, the kills, the resets, and its last word.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Transfer } from '../../examples/contrast/invoice.ts';
import { type Bank, type ReceiptLine, readReceipts, startBank } from '../receivers/index.ts';
import { identifyProcess } from '../servers/process-identity.ts';
import { guardServer } from '../servers/watchdog.ts';
import { startWorkerProcess, type WorkerProcess } from '../worker-process.ts';
import { type Plan, type PlannedInvoice, type PlannedRun, toInput } from './plan.ts';
import { resetToStart } from './reset-workflow.ts';
import type { Statement } from './verdict.ts';

export interface System {
  readonly name: 'plain' | 'with-effect';
  readonly taskQueue: string;
  readonly workerFile: string;
  readonly workerEnv: Readonly<Record<string, string>>;
  /** What it knows besides the results of its workflows. */
  readonly ownWords: () => Promise<Pick<Statement, 'paid' | 'doubts'>>;
}

export interface SystemRun {
  readonly statement: Statement;
  readonly receipts: readonly ReceiptLine[];
  readonly kills: number;
  readonly resets: number;
  readonly seconds: number;
}

export interface RunSystemOptions {
  readonly client: Client;
  readonly folder: string;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

const SLOW_MS = 2_500;
const POLL_MS = 20;
/** A workflow that is not over by then counts as not completed. */
const PATIENCE_MS = 120_000;

/** Everything that one run of a system needs at hand. */
interface Stage extends RunSystemOptions {
  readonly system: System;
  readonly plan: Plan;
  readonly banks: readonly [north: Bank, south: Bank];
  worker: WorkerProcess;
  workers: number;
  kills: number;
  resets: number;
}

/** The same plan for whichever system: the faults are of the banks, the kills and resets come from outside. */
export async function runSystem(
  system: System,
  plan: Plan,
  options: RunSystemOptions,
): Promise<SystemRun> {
  const startedAtMs = Date.now();
  const folder = join(options.folder, system.name);
  mkdirSync(folder, { recursive: true });
  const banks = await openBanks(folder, plan);
  const stage = { ...options, folder, system, plan, banks, workers: 0, kills: 0, resets: 0 };
  const live: Stage = Object.assign(stage, { worker: await startWorker(stage) });
  const over = new AbortController();
  try {
    const killing = killAfterCommits(live, over.signal);
    const runs = await Promise.all(plan.runs.map((run) => runBatch(live, run)));
    over.abort();
    await killing;
    return {
      statement: await lastWord(system, plan, runs),
      receipts: banks.flatMap(({ logFile }) => readReceipts(logFile).receipts),
      kills: live.kills,
      resets: live.resets,
      seconds: Math.round((Date.now() - startedAtMs) / 1_000),
    };
  } finally {
    over.abort();
    await live.worker.kill();
    await Promise.all(banks.map((bank) => bank.close()));
  }
}

async function openBanks(folder: string, plan: Plan): Promise<readonly [north: Bank, south: Bank]> {
  const north = await startBank({ logFile: join(folder, 'north-bank.jsonl') });
  const south = await startBank({ logFile: join(folder, 'south-bank.jsonl') });
  south.setMode('/transfers', 'no-idempotency');
  const banks = { north, south };
  for (const { invoices } of plan.runs) {
    for (const invoice of invoices) setFault(banks[invoice.bank], invoice);
  }
  return [north, south];
}

function setFault(bank: Bank, { reference, fault }: PlannedInvoice): void {
  switch (fault) {
    case 'none':
      return;
    case 'killed-after-commit':
      return bank.setMode(reference, 'slow', { delayMs: SLOW_MS, times: 1 });
    case 'answer-never-comes':
      return bank.setMode(reference, 'commit-then-hang', { times: 1 });
    case 'connection-reset':
      return bank.setMode(reference, 'commit-then-reset', { times: 1 });
  }
}

/** Whatever ends this process, the worker ends with it. */
async function startWorker(stage: Omit<Stage, 'worker'>): Promise<WorkerProcess> {
  stage.workers += 1;
  const { system, banks, folder, workers } = stage;
  const worker = await startWorkerProcess({
    file: system.workerFile,
    name: `${system.name}-${workers}`,
    dataDir: folder,
    logFile: join(folder, `worker-${workers}.log`),
    env: { ...system.workerEnv, NORTH_BANK_URL: banks[0].url, SOUTH_BANK_URL: banks[1].url },
  });
  const identity = identifyProcess(worker.pid);
  if (identity) void worker.gone.then(guardServer({ identity, signal: 'SIGKILL' }));
  return worker;
}

/** The bank has committed, the worker waits for its answer: this is when it is killed, and another one started. */
async function killAfterCommits(stage: Stage, signal: AbortSignal): Promise<void> {
  const waiting = new Set(
    stage.plan.runs
      .flatMap(({ invoices }) => invoices)
      .filter(({ fault }) => fault === 'killed-after-commit')
      .map(({ reference }) => reference),
  );
  while (waiting.size > 0 && !signal.aborted) {
    const paid = [...waiting].filter((reference) => hasReceipt(stage, reference));
    if (paid.length === 0) {
      await sleep(POLL_MS);
      continue;
    }
    await stage.worker.kill();
    stage.kills += 1;
    for (const reference of paid) waiting.delete(reference);
    stage.say(
      `${stage.system.name}: worker ${stage.workers} killed; the bank had paid ${paid.join(', ')}`,
    );
    stage.worker = await startWorker(stage);
  }
}

function hasReceipt({ banks }: Stage, reference: string): boolean {
  return banks.some((bank) => bank.receipts({ reference }).length > 0);
}

async function runBatch(stage: Stage, run: PlannedRun): Promise<readonly Transfer[] | undefined> {
  const { client, system } = stage;
  const workflowId = `${system.name}-${run.batch}`;
  await client.workflow.start('payInvoices', {
    workflowId,
    taskQueue: system.taskQueue,
    args: [toInput(run)],
  });
  if (run.resetAfter !== undefined) await resetAfter(stage, workflowId, run.resetAfter);
  return awaitResult(stage, workflowId);
}

async function resetAfter(stage: Stage, workflowId: string, reference: string): Promise<void> {
  const isDue = await until(stage, () => Promise.resolve(hasReceipt(stage, reference)));
  if (!isDue) return;
  await resetToStart(stage.client, workflowId);
  stage.resets += 1;
  stage.say(`${stage.system.name}: ${workflowId} reset to its start after ${reference} was paid`);
}

async function awaitResult(
  stage: Stage,
  workflowId: string,
): Promise<readonly Transfer[] | undefined> {
  const handle = stage.client.workflow.getHandle(workflowId);
  const isOver = async (): Promise<boolean> => (await handle.describe()).status.name !== 'RUNNING';
  if (!(await until(stage, isOver, 250))) return undefined;
  return handle.result().then(
    (result) => result as Transfer[],
    () => undefined,
  );
}

async function until(
  { signal }: Stage,
  isTrue: () => Promise<boolean>,
  everyMs = POLL_MS,
): Promise<boolean> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  while (!signal.aborted && Date.now() < deadlineMs) {
    if (await isTrue()) return true;
    await sleep(everyMs);
  }
  return false;
}

async function lastWord(
  system: System,
  plan: Plan,
  runs: readonly (readonly Transfer[] | undefined)[],
): Promise<Statement> {
  const { paid, doubts } = await system.ownWords();
  const results = runs.flatMap((run) => run ?? []);
  return {
    completedBatches: new Set(
      plan.runs.filter((_, at) => runs[at] !== undefined).map(({ batch }) => batch),
    ),
    paid: new Map([...paid, ...results.map((t) => [t.reference, t.transferId] as const)]),
    doubts,
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
