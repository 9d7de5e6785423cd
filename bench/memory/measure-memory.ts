// The memory of one worker process while it runs many runs; once as it is, once with a planted leak.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import { PawlClient } from '../../client/index.ts';
import { startModelProvider } from '../../devstack/receivers/index.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { type ModelScript, toolResults } from '../../testing/index.ts';
import { type CleanUps, withCleanUps } from '../../testing/clean-ups.ts';
import { createFreshDatabase } from '../../testing/fresh-database.ts';
import { findTestServers } from '../../testing/test-servers.ts';
import { until } from '../../testing/until.ts';
import { bundleWorkflows, writeBundle } from '../../workers/workflow-bundle.ts';
import { judgePlateau, type MemorySample, type Plateau, type PlateauLimits } from './plateau.ts';

export interface MemoryOptions {
  readonly runs: number;
  /** Of each run: model calls and tool calls together. */
  readonly steps: number;
  /** Runs under way at the same time. */
  readonly atOnce: number;
  readonly leaks: boolean;
  readonly onProgress?: (message: string) => void;
}

export interface MemoryReport extends Plateau {
  readonly runs: number;
  readonly steps: number;
  readonly leaks: boolean;
  readonly seconds: number;
  readonly series: readonly MemorySample[];
}

/** The heap of the worker: what is left of 512 MB is for its threads, native code and buffers. */
export const HEAP_MB = 192;
export const LIMITS: PlateauLimits = { mbMax: 512, kbPerRunMax: 32 };

export function measureMemory(options: MemoryOptions): Promise<MemoryReport> {
  return withCleanUps((cleanUps) => measure(options, cleanUps));
}

async function measure(options: MemoryOptions, cleanUps: CleanUps): Promise<MemoryReport> {
  const { runs, steps, leaks } = options;
  const { client, worker } = await openSite(options, cleanUps);
  const startedAtMs = performance.now();
  const series: MemorySample[] = [];
  let [started, ended] = [0, 0];
  const runOne = async (): Promise<void> => {
    while (started < runs) {
      started += 1;
      const { runKey } = await client.start('writer', { steps });
      const { result } = await client.result(runKey);
      if (result?.kind !== 'completed') throw new Error(`a run ended ${result?.kind ?? 'nowhere'}`);
      ended += 1;
      series.push({ runs: ended, mb: await residentMb(worker.pid ?? 0) });
      if (ended % 50 === 0)
        options.onProgress?.(`${ended} runs: ${series.at(-1)?.mb.toFixed(0)} MB`);
    }
  };
  const died = once(worker, 'exit').then(([code, signal]) => {
    throw new Error(
      `the worker ended (${String(signal ?? code)}) after ${ended} runs: out of memory?`,
    );
  });
  await Promise.race([Promise.all(Array.from({ length: options.atOnce }, runOne)), died]);
  died.catch(() => undefined);
  return {
    runs,
    steps,
    leaks,
    seconds: (performance.now() - startedAtMs) / 1_000,
    series,
    ...judgePlateau(series, LIMITS),
  };
}

interface Site {
  readonly client: PawlClient;
  readonly worker: ChildProcess;
}

async function openSite({ steps, leaks }: MemoryOptions, cleanUps: CleanUps): Promise<Site> {
  const { temporalAddress, databaseUrl: serverUrl } = await findTestServers();
  const folder = await mkdtemp(join(tmpdir(), 'pawl-memory-'));
  cleanUps.add(() => rm(folder, { recursive: true, force: true }));
  const databaseUrl = await createFreshDatabase(serverUrl, cleanUps);
  const provider = await startModelProvider({ script: noteEach(steps / 2), remembers: false });
  cleanUps.add(() => provider.close());
  const taskQueue = `memory-${Date.now()}`;
  const client = await PawlClient.connect({ temporalAddress, databaseUrl, taskQueue });
  cleanUps.add(() => client.close());
  const bundle = join(folder, 'workflows.bundle.js');
  await writeBundle(
    await bundleWorkflows(undefined, { logger: new DefaultLogger('WARN') }),
    bundle,
  );
  const worker = await startWorker({
    TEMPORAL_ADDRESS: temporalAddress,
    DATABASE_URL: databaseUrl,
    PAWL_TASK_QUEUE: taskQueue,
    PAWL_MIGRATE: 'no',
    PAWL_EGRESS_PRIVATE: 'allow',
    PAWL_WORKFLOW_BUNDLE: bundle,
    MEMORY_LEAK: leaks ? '1' : '0',
    ANTHROPIC_API_KEY: 'local-provider',
    ANTHROPIC_BASE_URL: provider.url,
  });
  cleanUps.add(async () => {
    if (worker.exitCode === null && worker.signalCode === null && worker.kill('SIGKILL')) {
      await once(worker, 'exit');
    }
  });
  return { client, worker };
}

/** Notes one line a turn; the last turn says that it is done. */
function noteEach(turns: number): ModelScript {
  return (request) => {
    const done = toolResults(request).length;
    if (done + 1 >= turns) return { text: 'done' };
    return { toolCalls: [{ name: 'note', arguments: { line: `line ${done}` } }] };
  };
}

async function startWorker(env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const file = new URL('./worker.ts', import.meta.url).pathname;
  const flags = [`--max-old-space-size=${HEAP_MB}`, '--max-semi-space-size=8'];
  const child = spawn(process.execPath, [...flags, ...runtimeArguments(file), file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let isReady = false;
  child.stdout.on('data', () => (isReady = true));
  await until(() => isReady, { what: 'the worker', timeoutMs: 120_000 });
  return child;
}

/** Resident set of a process, in MB, as Linux counts it. */
async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, kb] = /VmRSS:\s+(\d+) kB/.exec(status) ?? [];
  if (kb === undefined) throw new Error('the worker is gone, or this system has no /proc');
  return Number(kb) / 1_024;
}
