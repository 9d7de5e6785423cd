// Contenders that run: their processes and the doors to them, and one measured phase of one of them.
import { setTimeout as delay } from 'node:timers/promises';
import { ulid } from 'ulid';
import { type CleanUps, createCleanUps } from '../../testing/clean-ups.ts';
import {
  type Contender,
  CONTENDERS,
  type Job,
  type PerContender,
  perContender,
} from './contenders.ts';
import { readCpuMs } from './cpu.ts';
import { type Door, openDoor } from './doors.ts';
import { readRpcs, type Rpcs, rpcsBetween } from './rpcs.ts';
import type { Site, Started } from './site.ts';
import { readTurnTimesMs } from './wire-logs.ts';

/** By what it is used for; `receivers` are the provider and the bank. */
export type CpuMs = Readonly<Record<'worker' | 'temporal' | 'postgres' | 'receivers', number>>;

/** One phase of one contender in one round. */
export interface Sample {
  readonly turns: number;
  /** From the first start to the last result. */
  readonly seconds: number;
  /** Of every turn, from one request to the model to the next. */
  readonly turnTimesMs: readonly number[];
  /** Null where there is no `/proc`. */
  readonly cpuMs: CpuMs | null;
  /** Undefined without Temporal. */
  readonly rpcs: Rpcs | undefined;
}

export interface Bench {
  readonly site: Site;
  readonly started: PerContender<Started>;
  readonly doors: PerContender<Door>;
  /** Every run that was started, with its workflow id. */
  readonly runs: (Job & { readonly contender: Contender; readonly workflowId: string })[];
  /** Stops the workers and those who ask them. */
  close(): Promise<void>;
}

/** Starts a process for each contender. */
export async function openBench(site: Site, cleanUps: CleanUps): Promise<Bench> {
  const started = await forEachContender((contender) => site.startWorker(contender));
  const open = createCleanUps();
  cleanUps.add(() => open.run());
  const doors = await forEachContender((contender) =>
    openDoor(contender, site, started[contender], open),
  );
  return {
    ...{ site, started, doors, runs: [] },
    async close() {
      await open.run();
      await forEachContender((contender) => started[contender].worker.stop());
    },
  };
}

/** All at the same time. */
async function forEachContender<T>(
  work: (contender: Contender) => Promise<T>,
): Promise<PerContender<T>> {
  const done = new Map(
    await Promise.all(
      CONTENDERS.map(async (contender) => [contender, await work(contender)] as const),
    ),
  );
  // Every contender is in the map.
  return perContender((contender) => done.get(contender) as T);
}

/** So many runs at once, all of one contender. */
export async function runMany(
  bench: Bench,
  contender: Contender,
  { runs, turns }: { readonly runs: number; readonly turns: number },
): Promise<readonly Job[]> {
  const jobs = Array.from({ length: runs }, () => ({ run: `${contender}-${ulid()}`, turns }));
  const run = async (job: Job): Promise<void> => {
    const workflowId = await bench.doors[contender].run(job);
    bench.runs.push({ ...job, contender, workflowId });
  };
  await Promise.all(jobs.map(run));
  return jobs;
}

/** What servers do behind the last result is part of the phase. */
const TRAIL_MS = 300;
/** Temporal publishes its counters once a second. */
const METRICS_MS = 1_200;

/** Runs them and reads what they have used. */
export async function takeSample(
  bench: Bench,
  contender: Contender,
  plan: { readonly runs: number; readonly turns: number },
): Promise<Sample> {
  const { site } = bench;
  const metricsUrl = site.temporalOf(contender)?.metricsUrl;
  const rpcsBefore = metricsUrl === undefined ? {} : await readRpcs(metricsUrl);
  const cpuBefore = readCpu(bench, contender);
  const startedAtMs = performance.now();
  const jobs = await runMany(bench, contender, plan);
  const seconds = (performance.now() - startedAtMs) / 1_000;
  await delay(TRAIL_MS);
  const cpuAfter = readCpu(bench, contender);
  await delay(metricsUrl === undefined ? 0 : METRICS_MS - TRAIL_MS);
  const rpcs =
    metricsUrl === undefined ? undefined : rpcsBetween(rpcsBefore, await readRpcs(metricsUrl));
  return {
    turns: plan.runs * plan.turns,
    seconds,
    turnTimesMs: readTurnTimesMs(site.turnsFile, jobs),
    cpuMs: cpuBefore && cpuAfter && subtract(cpuAfter, cpuBefore),
    rpcs,
  };
}

function readCpu({ site, started }: Bench, contender: Contender): CpuMs | null {
  const temporal = site.temporalOf(contender)?.pid;
  const isInPostgres = site.databaseUrlOf(contender) !== undefined;
  return readCpuMs({
    worker: [started[contender].worker.pid],
    temporal: temporal === undefined ? [] : [temporal],
    postgres: isInPostgres && site.postgres.pid !== undefined ? [site.postgres.pid] : [],
    receivers: site.receiverPids,
  });
}

function subtract(after: CpuMs, before: CpuMs): CpuMs {
  return {
    worker: after.worker - before.worker,
    temporal: after.temporal - before.temporal,
    postgres: after.postgres - before.postgres,
    receivers: after.receivers - before.receivers,
  };
}
