// Runs one system through the plan: its banks, its worker processes, the kills, the resets, and its last word.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer } from '../../examples/contrast/invoice.ts';
import { type Bank, type ReceiptLine, readReceipts, startBank } from '../receivers/index.ts';
import { startGuardedWorker } from './guarded-worker.ts';
import type { WorkerProcess } from '../worker-process.ts';
import type { Plan, PlannedInvoice, PlannedRun } from './plan.ts';
import type { Door, Site, System } from './system.ts';
import type { Statement } from './verdict.ts';
import { waitUntil } from './wait-until.ts';

export interface SystemRun {
  readonly statement: Statement;
  readonly receipts: readonly ReceiptLine[];
  readonly kills: number;
  /** Workflows reset, or batches delivered again where there is no workflow. */
  readonly resets: number;
  readonly seconds: number;
}

export interface RunSystemOptions {
  readonly folder: string;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

const SLOW_MS = 2_500;
const POLL_MS = 20;
/** A run that is not over so long after its start counts as not completed. */
const PATIENCE_MS = 240_000;
/** Runs at the same time; more of them than a small machine works off only wait for each other. */
const WIDTH = 24;

/** Everything that one run of a system needs at hand. */
interface Stage extends RunSystemOptions, Site {
  readonly system: System;
  readonly plan: Plan;
  readonly banks: readonly [north: Bank, south: Bank];
  readonly door: Door;
  worker: WorkerProcess | undefined;
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
  const stage = await openStage(system, plan, options);
  const over = new AbortController();
  try {
    stage.worker = await startWorker(stage);
    const killing = killAfterCommits(stage, over.signal);
    const runs = await runBatches(stage);
    over.abort();
    await killing;
    return {
      statement: await lastWord(stage, runs),
      receipts: stage.banks.flatMap(({ logFile }) => readReceipts(logFile).receipts),
      kills: stage.kills,
      resets: stage.resets,
      seconds: Math.round((Date.now() - startedAtMs) / 1_000),
    };
  } finally {
    over.abort();
    await stage.worker?.kill();
    await stage.door.close();
    await Promise.all(stage.banks.map((bank) => bank.close()));
  }
}

async function openStage(system: System, plan: Plan, options: RunSystemOptions): Promise<Stage> {
  const folder = join(options.folder, system.name);
  mkdirSync(folder, { recursive: true });
  const site = { folder, patienceMs: PATIENCE_MS, signal: options.signal };
  const door = await system.openDoor(site);
  const banks = await openBanks(folder, plan);
  const counts = { workers: 0, kills: 0, resets: 0 };
  return {
    ...options,
    folder,
    patienceMs: PATIENCE_MS,
    system,
    plan,
    banks,
    door,
    worker: undefined,
    ...counts,
  };
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

function startWorker(stage: Stage): Promise<WorkerProcess> {
  stage.workers += 1;
  const { system, banks, door, folder, workers } = stage;
  return startGuardedWorker({
    file: system.workerFile,
    name: `${system.name}-${workers}`,
    dataDir: folder,
    logFile: join(folder, `worker-${workers}.log`),
    env: { ...door.workerEnv, NORTH_BANK_URL: banks[0].url, SOUTH_BANK_URL: banks[1].url },
  });
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
    await stage.worker?.kill();
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

/** What each run came to, in the order of the plan. */
async function runBatches(stage: Stage): Promise<(readonly Transfer[] | undefined)[]> {
  const results: (readonly Transfer[] | undefined)[] = [];
  const waiting = [...stage.plan.runs.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      results[next[0]] = await runBatch(stage, next[1]);
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, work));
  return results;
}

async function runBatch(stage: Stage, run: PlannedRun): Promise<readonly Transfer[] | undefined> {
  await stage.door.start(run);
  if (run.resetAfter !== undefined) await startAgainAfter(stage, run, run.resetAfter);
  return stage.door.result(run);
}

async function startAgainAfter(stage: Stage, run: PlannedRun, reference: string): Promise<void> {
  if (!(await waitUntil(() => hasReceipt(stage, reference), stage))) return;
  await stage.door.startAgain(run);
  stage.resets += 1;
  const what = stage.system.hasResets ? 'reset to its start' : 'delivered again';
  stage.say(`${stage.system.name}: ${run.batch} ${what} after ${reference} was paid`);
}

async function lastWord(
  { door, plan }: Stage,
  runs: readonly (readonly Transfer[] | undefined)[],
): Promise<Statement> {
  const { paid, doubts } = await door.ownWords();
  const results = runs.flatMap((run) => run ?? []);
  return {
    completedBatches: new Set(
      plan.runs.filter((_, at) => runs[at] !== undefined).map(({ batch }) => batch),
    ),
    paid: new Map([...paid, ...results.map((t) => [t.reference, t.transferId] as const)]),
    doubts,
  };
}
