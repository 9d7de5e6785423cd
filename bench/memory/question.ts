// The question of `npm run bench -- memory`: whether a worker's memory reaches a plateau, and whether a leak would be seen.
import { defineQuestion } from '../question.ts';
import { withDurableServers } from '../safety/servers.ts';
import {
  LIMITS,
  type Look,
  measureMemory,
  type MemoryReport,
  type PhaseReport,
} from './measure-memory.ts';
import type { Growth } from './plateau.ts';
import { HEAP_MB } from './worker-process.ts';

/** The report as text. */
export function renderMemory({ asItIs, leaking, violations }: MemoryReport): string {
  return [
    ...renderPhase('the worker as it is', asItIs),
    ...renderPhase('the same worker, leaking', leaking),
    `heap ${HEAP_MB} MB a thread; a plateau: at most ${LIMITS.heapKbPerRun} KB a run in the heap, ` +
      `${LIMITS.residentKbPerRun} KB resident, never more than ${LIMITS.residentMbMax} MB resident`,
    violations.length === 0 ? 'a plateau; the leak is seen' : `wrong: ${violations.join('; ')}`,
  ].join('\n');
}

function renderPhase(title: string, phase: PhaseReport): string[] {
  const { runs, seconds, heap, resident, peakMb, looks } = phase;
  const range = (mbOf: (look: Look) => number): string => {
    const all = looks.filter((look) => look.runs >= runs / 2).map(mbOf);
    return `${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)} MB in the second half`;
  };
  return [
    `${title}: ${runs} runs in ${seconds.toFixed(0)} s, at most ${peakMb.toFixed(0)} MB resident`,
    `  heap behind a collection   ${renderGrowth(heap)}, ${range(({ heapMb }) => heapMb)}`,
    `  resident behind it         ${renderGrowth(resident)}, ${range(({ residentMb }) => residentMb)}`,
  ];
}

function renderGrowth({ kbPerRun, fromKb, toKb, points, verdict }: Growth): string {
  const interval = `${fromKb.toFixed(1)} to ${toKb.toFixed(1)}`;
  return `${kbPerRun.toFixed(1)} KB a run (95 %: ${interval}; ${points} samples): ${verdict}`;
}

export const memoryQuestion = defineQuestion({
  says:
    'memory of one worker under 512 MB over many runs, and then of the same worker with a planted leak;\n' +
    '  ends with 1 when it does not reach a plateau, or when the leak is not seen',
  counts: {
    runs: { usual: 500, min: 40, says: 'runs; the first half is the warm-up' },
    'leaking-runs': { usual: 200, min: 40, says: 'runs behind them, with the leak' },
    'leaked-kb': { usual: 128, min: 1, says: 'what a leaking run leaves behind' },
    steps: { usual: 50, min: 4, says: 'steps of each run (model calls and tool calls)' },
    'at-once': { usual: 10, min: 1, says: 'runs under way at the same time' },
  },
  async ask({
    runs,
    steps,
    'at-once': atOnce,
    'leaking-runs': leakingRuns,
    'leaked-kb': leakedKb,
  }) {
    const onLook = ({ runs: ended, heapMb, residentMb, peakMb }: Look): void => {
      const figures = [heapMb, residentMb, peakMb].map((mb) => mb.toFixed(1)).join(', ');
      process.stderr.write(`${ended} runs: heap, resident, peak ${figures} MB\n`);
    };
    const report = await withDurableServers(() =>
      measureMemory({
        runs,
        warmUpRuns: runs / 2,
        leakingRuns,
        leakedKb,
        steps,
        atOnce,
        everyRuns: Math.max(
          1,
          Math.min(atOnce, Math.floor(runs / 20), Math.floor(leakingRuns / 8)),
        ),
        onLook,
      }),
    );
    const isRight = report.violations.length === 0;
    return { report, text: renderMemory(report), isRight };
  },
});
