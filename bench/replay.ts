// `npm run bench -- replay`: how many recorded histories a second this build replays, one by one and on all cores.
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HistoryFile } from '../client/replay/history-file.ts';
import { decodeHistory, readHistoryFile } from '../client/replay/history-file.ts';
import { loadQuietWorker } from '../client/replay/load-package.ts';
import { bundleForReplay, replayAll } from '../client/replay/replay-all.ts';
import type { Bundle, Replayed } from '../client/replay/replayer.ts';
import { saveHistory, withTestRun } from '../testing/index.ts';
import { cpuEach, readChildrenCpu, type ThreadCpu } from './replay-cpu.ts';
import { payingAgent, payingModel } from './paying-agent.ts';
import { defineQuestion } from './question.ts';

/** What design and issue ask for, on two cores. */
const WANTED_PER_SECOND = 200;
/** A sandbox for each history is slow: a sample is enough. */
const SAMPLE = 20;
/** A process ends when it has nothing more to do: before that its time is read, so many histories from the end. */
const LAST_BEFORE_END = 5;

export interface ReplayReport {
  readonly histories: number;
  readonly turns: number;
  readonly events: number;
  readonly bytes: number;
  readonly processes: number;
  /** Histories a second. */
  readonly perSecond: {
    /** A sandbox for each, as `Worker.runReplayHistory` has it. */
    readonly sandboxEach: number;
    /** One sandbox, one process. */
    readonly sequential: number;
    /** With the start of the processes. */
    readonly parallel: number;
    /** Between a tenth and the end: without it. */
    readonly parallelSteady: number;
  };
  /** Milliseconds of processor time a history, of the processes in parallel, without the first tenth; empty off Linux. */
  readonly cpuMs: ThreadCpu;
  readonly failed: readonly string[];
}

/** Records one run of `turns` turns and replays it under `histories` names. */
export async function measureReplay(turns: number, histories: number): Promise<ReplayReport> {
  const recorded = await record(turns);
  const bundle = await bundleForReplay(new URL('../workflows/index.ts', import.meta.url).pathname);
  const files = Array.from({ length: histories }, (_, at) => ({ ...recorded, name: `run-${at}` }));
  const sandboxEach = await timeSandboxEach(bundle, recorded);
  const sequential = await time(bundle, files.slice(0, Math.ceil(histories / 5)), 1);
  const processes = availableParallelism();
  const parallel = await time(bundle, files, processes);
  const all = [...sequential.replayed, ...parallel.replayed];
  return {
    histories,
    turns,
    events: all[0]?.events ?? 0,
    bytes: recorded.bytes.length,
    processes,
    perSecond: {
      sandboxEach,
      sequential: sequential.perSecond,
      parallel: parallel.perSecond,
      parallelSteady: parallel.steady,
    },
    cpuMs: parallel.cpuMs,
    failed: all.flatMap(({ name, error }) => (error ? [`${name}: ${error.message}`] : [])),
  };
}

async function record(turns: number): Promise<HistoryFile> {
  const folder = await mkdtemp(join(tmpdir(), 'pawl-replay-'));
  try {
    return await withTestRun(
      { agents: ({ bank }) => [payingAgent(bank.url, turns)], model: payingModel(turns) },
      async (t) => {
        const run = await t.start('payer', { turns });
        await run.result();
        await saveHistory(t.temporal, run.runKey, join(folder, 'run.bin'));
        return readHistoryFile(folder, 'run.bin');
      },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function timeSandboxEach(workflowBundle: Bundle, file: HistoryFile): Promise<number> {
  const { Worker } = await loadQuietWorker();
  const startedAtMs = performance.now();
  for (let at = 0; at < SAMPLE; at += 1) {
    const { history } = await decodeHistory(file);
    await Worker.runReplayHistory({ workflowBundle }, history, `run-${at}`);
  }
  return (SAMPLE * 1_000) / (performance.now() - startedAtMs);
}

interface Timed {
  readonly perSecond: number;
  readonly steady: number;
  readonly cpuMs: ThreadCpu;
  readonly replayed: readonly Replayed[];
}

async function time(
  bundle: Bundle,
  files: readonly HistoryFile[],
  processes: number,
): Promise<Timed> {
  const startedAtMs = performance.now();
  const doneAtMs: number[] = [];
  const warm = Math.floor(files.length / 10);
  const late = Math.max(warm + 1, files.length - LAST_BEFORE_END * processes);
  let [cpuWarm, cpuLate]: ThreadCpu[] = [];
  const onReplayed = (): void => {
    doneAtMs.push(performance.now());
    if (doneAtMs.length === warm) cpuWarm = readChildrenCpu();
    if (doneAtMs.length === late) cpuLate = readChildrenCpu();
  };
  const sources = files.map((file) => () => Promise.resolve(file));
  const replayed = await replayAll(sources, { bundle, processes, onReplayed });
  const steadyMs = (doneAtMs.at(-1) ?? 0) - (doneAtMs[warm - 1] ?? 0);
  return {
    perSecond: (files.length * 1_000) / (performance.now() - startedAtMs),
    steady: ((files.length - warm) * 1_000) / steadyMs,
    cpuMs: cpuEach(cpuWarm ?? {}, cpuLate ?? {}, late - warm),
    replayed,
  };
}

/** The report as text. */
export function renderReplay(report: ReplayReport): string {
  const { histories, turns, events, bytes, processes, perSecond, cpuMs, failed } = report;
  const { sandboxEach, sequential, parallel, parallelSteady } = perSecond;
  const row = (name: string, value: number): string =>
    `  ${name.padEnd(44)} ${value.toFixed(1).padStart(8)}`;
  return [
    `${histories} histories of ${turns} turns (${events} events, ${bytes} bytes each); histories a second:`,
    row('a sandbox each (Worker.runReplayHistory)', sandboxEach),
    row('one process, one sandbox', sequential),
    row(`${processes} processes, their start included`, parallel),
    row(`${processes} processes, without the first tenth`, parallelSteady),
    ...renderCpu(cpuMs),
    `wanted on two quiet cores: ${WANTED_PER_SECOND} a second`,
    failed.length === 0 ? 'every history replays' : failed.slice(0, 5).join('\n'),
  ].join('\n');
}

function renderCpu(cpuMs: ThreadCpu): readonly string[] {
  const kinds = Object.entries(cpuMs).filter(([, ms]) => ms >= 0.005);
  if (kinds.length === 0) return [];
  const total = kinds.reduce((sum, [, ms]) => sum + ms, 0);
  const parts = kinds.map(([kind, ms]) => `${kind} ${ms.toFixed(2)}`).join(', ');
  return [`ms of processor time a history, in parallel: ${total.toFixed(2)} (${parts})`];
}

export const replayQuestion = defineQuestion({
  says:
    'histories a second that this build replays, from one bundle (a real run, replayed under many names);\n' +
    '  ends with 1 when one does not replay',
  counts: {
    histories: { usual: 2_000, min: 20, says: 'histories to replay' },
    turns: { usual: 20, min: 1, says: 'turns of the run' },
  },
  async ask({ histories, turns }) {
    const report = await measureReplay(turns, histories);
    return { report, text: renderReplay(report), isRight: report.failed.length === 0 };
  },
});
