// Payments by workflows: the times of their steps, how many a second with many at once, and what they commit.
import { ulid } from 'ulid';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import type { TestRun, TestRunOptions } from '../../testing/index.ts';
import { type Commits, countCommits } from './commits.ts';
import { stepTimesMs } from './spread.ts';
import { storeStep, transfer, transferTool, type Variant } from './variants.ts';
import type { Payments } from './workflows.ts';
import { NO_SWEEPS_MS } from '../../testing/no-sweeps.ts';

/** A worker that can make payments in all three ways: one process, one task queue, the same settings. */
export interface PaymentSite {
  readonly options: TestRunOptions;
  /** Where C commits; opened and closed with the worker, as the ledger's own connections are. */
  openFloor(databaseUrl: string): void;
  closeFloor(): Promise<void>;
}

export function createPaymentSite(): PaymentSite {
  let floor: Database | undefined;
  const transferPlain = (bankUrl: string, reference: string) => transfer(bankUrl, reference);
  const transferAndCommit = async (bankUrl: string, reference: string) => {
    if (!floor) throw new Error('The database of the floor is not open');
    const output = await transfer(bankUrl, reference);
    await storeStep(floor, reference, output);
    return output;
  };
  return {
    options: {
      tools: ({ bank }) => [transferTool(bank.url)],
      workflowsPath: new URL('./workflows.ts', import.meta.url).pathname,
      worker: {
        activities: { transferPlain, transferAndCommit },
        // No sweep in the middle of a measurement.
        reconcileEveryMs: NO_SWEEPS_MS,
        shutdownGraceTime: '20s',
      },
    },
    openFloor(url) {
      floor = openDatabase({ url });
    },
    async closeFloor() {
      await floor?.close();
      floor = undefined;
    },
  };
}

/** One workflow, one payment after the other: milliseconds of each step. */
export async function timeSteps(
  t: TestRun,
  variant: Variant,
  effects: number,
): Promise<readonly number[]> {
  const workflowId = await startPayments(t, variant, effects);
  const handle = t.temporal.workflow.getHandle(workflowId);
  await handle.result();
  return stepTimesMs(await handle.fetchHistory());
}

/** Effects per second of many workflows at once, from the first start to the last result. */
export async function timeCrowd(
  t: TestRun,
  variant: Variant,
  { workflows, effectsEach }: { readonly workflows: number; readonly effectsEach: number },
): Promise<number> {
  const startedAtMs = performance.now();
  const payAll = async (): Promise<void> => {
    const workflowId = await startPayments(t, variant, effectsEach);
    await t.temporal.workflow.getHandle(workflowId).result();
  };
  await Promise.all(Array.from({ length: workflows }, payAll));
  return (workflows * effectsEach * 1_000) / (performance.now() - startedAtMs);
}

/** What one workflow commits, with a worker of its own that has stopped before the counters are read. */
export function countSteps(
  t: TestRun,
  site: PaymentSite,
  variant: Variant,
  effects: number,
): Promise<Commits> {
  return countCommits(t.databaseUrl, async () => {
    site.openFloor(t.databaseUrl);
    await t.startWorker();
    try {
      const workflowId = await startPayments(t, variant, effects);
      await t.temporal.workflow.getHandle(workflowId).result();
    } finally {
      await t.stopWorker();
      await site.closeFloor();
    }
  });
}

async function startPayments(t: TestRun, variant: Variant, effects: number): Promise<string> {
  const runKey = `run_${ulid()}`;
  const payments: Payments = { runKey, bankUrl: t.bank.url, effects };
  const { taskQueue } = t;
  const handle = await t.temporal.workflow.start(variant, {
    workflowId: `${variant}-${runKey}`,
    taskQueue,
    args: [payments],
  });
  return handle.workflowId;
}
