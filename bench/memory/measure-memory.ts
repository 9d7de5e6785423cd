// The memory of one worker process while it runs many runs, as it is and then with a planted leak.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import { PawlClient } from '../../client/index.ts';
import { lastUserText, startBank, startModelProvider } from '../../devstack/receivers/index.ts';
import { type CleanUps, withCleanUps } from '../../testing/clean-ups.ts';
import { createFreshDatabase } from '../../testing/fresh-database.ts';
import { type ModelScript, toolResults } from '../../testing/index.ts';
import { findTestServers } from '../../testing/test-servers.ts';
import { bundleWorkflows, writeBundle } from '../../workers/workflow-bundle.ts';
import { type Growth, judgeGrowth, type Point } from './plateau.ts';
import { type MeasuredWorker, type MemoryLook, startMeasuredWorker } from './worker-process.ts';

export interface MemoryOptions {
  readonly runs: number;
  /** Of them, those whose memory is not judged: caches fill, code is compiled. */
  readonly warmUpRuns: number;
  /** Runs behind them during which the same worker leaks. */
  readonly leakingRuns: number;
  /** Of each run: model calls and tool calls together. */
  readonly steps: number;
  /** Runs under way at the same time. */
  readonly atOnce: number;
  /** Memory is looked at after so many runs, with none under way. */
  readonly everyRuns: number;
  /** What a leaking run leaves behind, in KB. */
  readonly leakedKb: number;
  readonly onLook?: (look: Look) => void;
}

export interface Look extends MemoryLook {
  /** Runs that had ended. */
  readonly runs: number;
}

/** Of the heap, and of what is resident. */
export interface PhaseReport {
  readonly runs: number;
  readonly seconds: number;
  readonly heap: Growth;
  readonly resident: Growth;
  /** The most that was resident at any time so far, in MB. */
  readonly peakMb: number;
  readonly looks: readonly Look[];
}

export interface MemoryReport {
  readonly asItIs: PhaseReport;
  readonly leaking: PhaseReport;
  readonly violations: readonly string[];
}

/** Growth a run that is still a plateau; resident memory has the noise of the allocators in it. */
export const LIMITS = { residentMbMax: 512, heapKbPerRun: 32, residentKbPerRun: 64 };

export function measureMemory(options: MemoryOptions): Promise<MemoryReport> {
  return withCleanUps(async (cleanUps) => {
    const site = await openSite(options, cleanUps);
    const { runs, warmUpRuns, leakingRuns } = options;
    const asItIs = await measurePhase(site, options, { runs, warmUpRuns });
    site.worker.leak();
    const leaking = await measurePhase(site, options, { runs: leakingRuns, warmUpRuns: 0 });
    return { asItIs, leaking, violations: judge(asItIs, leaking) };
  });
}

/** What is wrong; a leak that is not seen is, too. */
function judge({ heap, resident, peakMb }: PhaseReport, leaking: PhaseReport): string[] {
  const grows = (what: string, { fromKb, toKb, verdict }: Growth, limit: number): string[] =>
    verdict === 'plateau'
      ? []
      : [
          `${what}: ${verdict}, ${fromKb.toFixed(1)} to ${toKb.toFixed(1)} KB a run; at most ${limit}`,
        ];
  return [
    ...grows('the heap', heap, LIMITS.heapKbPerRun),
    ...grows('resident memory', resident, LIMITS.residentKbPerRun),
    ...(peakMb > LIMITS.residentMbMax
      ? [`${peakMb.toFixed(0)} MB resident, more than ${LIMITS.residentMbMax}`]
      : []),
    ...(leaking.heap.verdict === 'leak'
      ? []
      : [`the planted leak is not seen: ${leaking.heap.verdict}`]),
  ];
}

async function measurePhase(
  { worker, run }: Site,
  { atOnce, everyRuns, onLook }: MemoryOptions,
  { runs, warmUpRuns }: Pick<MemoryOptions, 'runs' | 'warmUpRuns'>,
): Promise<PhaseReport> {
  const startedAtMs = performance.now();
  const looks: Look[] = [];
  for (let ended = 0; ended < runs;) {
    const batch = Math.min(everyRuns, runs - ended);
    await Promise.race([runBatch(batch, atOnce, run), worker.died]);
    ended += batch;
    const look = { runs: ended, ...(await worker.look()) };
    looks.push(look);
    onLook?.(look);
  }
  const grows = (mbOf: (look: Look) => number, kbPerRunMax: number): Growth =>
    judgeGrowth(
      looks.map((look): Point => ({ runs: look.runs, mb: mbOf(look) })),
      { warmUpRuns, kbPerRunMax },
    );
  return {
    runs,
    seconds: (performance.now() - startedAtMs) / 1_000,
    heap: grows(({ heapMb }) => heapMb, LIMITS.heapKbPerRun),
    resident: grows(({ residentMb }) => residentMb, LIMITS.residentKbPerRun),
    peakMb: Math.max(...looks.map(({ peakMb }) => peakMb)),
    looks,
  };
}

/** Resolves when none is under way any more. */
async function runBatch(runs: number, atOnce: number, run: () => Promise<void>): Promise<void> {
  let started = 0;
  const runOn = async (): Promise<void> => {
    while (started < runs) {
      started += 1;
      await run();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, runOn));
}

interface Site {
  readonly worker: MeasuredWorker;
  /** One run, from its start to its end. */
  run(): Promise<void>;
}

async function openSite({ steps, leakedKb }: MemoryOptions, cleanUps: CleanUps): Promise<Site> {
  const { temporalAddress, databaseUrl: serverUrl } = await findTestServers();
  const folder = await mkdtemp(join(tmpdir(), 'pawl-memory-'));
  cleanUps.add(() => rm(folder, { recursive: true, force: true }));
  const databaseUrl = await createFreshDatabase(serverUrl, cleanUps);
  const turns = Math.floor(steps / 2);
  const provider = await startModelProvider({ script: callOnce(turns), remembers: false });
  cleanUps.add(() => provider.close());
  const bank = await startBank({ logFile: join(folder, 'bank.jsonl') });
  cleanUps.add(() => bank.close());
  const taskQueue = `memory-${Date.now()}`;
  const client = await PawlClient.connect({ temporalAddress, databaseUrl, taskQueue });
  cleanUps.add(() => client.close());
  const worker = await startMeasuredWorker(
    {
      TEMPORAL_ADDRESS: temporalAddress,
      DATABASE_URL: databaseUrl,
      PAWL_TASK_QUEUE: taskQueue,
      PAWL_MIGRATE: 'no',
      PAWL_EGRESS_PRIVATE: 'allow',
      PAWL_WORKFLOW_BUNDLE: await bundle(folder),
      MEMORY_BANK_URL: bank.url,
      // The last turn calls no tool, every second of the others notes.
      MEMORY_LEAKED_CHARS: String(Math.round((leakedKb * 1_024) / Math.ceil((turns - 1) / 2))),
      ANTHROPIC_API_KEY: 'local-provider',
      ANTHROPIC_BASE_URL: provider.url,
    },
    cleanUps,
  );
  let started = 0;
  return {
    worker,
    async run() {
      started += 1;
      const { runKey } = await client.start('clerk', { run: started });
      const { result } = await client.result(runKey);
      if (result?.kind !== 'completed') throw new Error(`a run ended ${result?.kind ?? 'nowhere'}`);
    },
  };
}

async function bundle(folder: string): Promise<string> {
  const file = join(folder, 'workflows.bundle.js');
  await writeBundle(await bundleWorkflows(undefined, { logger: new DefaultLogger('WARN') }), file);
  return file;
}

/** A read and a keyed effect in turn; the last turn says that it is done. */
function callOnce(turns: number): ModelScript {
  return (request) => {
    const done = toolResults(request).length;
    if (done + 1 >= turns) return { text: 'done' };
    if (done % 2 === 0)
      return { toolCalls: [{ name: 'note', arguments: { line: `line ${done}` } }] };
    const { run } = JSON.parse(lastUserText(request)) as { run: number };
    return { toolCalls: [{ name: 'transfer', arguments: { reference: `${run}-${done}` } }] };
  };
}
