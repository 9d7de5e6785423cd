// The question of `npm run bench -- memory`: whether a worker's memory reaches a plateau, and whether a leak would be seen.
import { defineQuestion } from '../question.ts';
import { withDurableServers } from '../safety/servers.ts';
import { HEAP_MB, LIMITS, measureMemory, type MemoryReport } from './measure-memory.ts';

/** The report as text. */
export function renderMemory(reports: readonly MemoryReport[]): string {
  const lines = reports.map(
    ({ runs, steps, leaks, seconds, kbPerRun, maxMb, samples, isPlateau }) =>
      [
        leaks ? 'with a planted leak' : 'the worker as it is',
        `${runs} runs of ${steps} steps in ${seconds.toFixed(0)} s`,
        `at most ${maxMb.toFixed(0)} MB`,
        `${kbPerRun.toFixed(1)} KB a run (${samples} samples of the second half)`,
        isPlateau ? 'a plateau' : 'a leak',
      ].join(', '),
  );
  return [
    ...lines,
    `heap ${HEAP_MB} MB; a plateau: at most ${LIMITS.kbPerRunMax} KB a run (Theil-Sen) and ${LIMITS.mbMax} MB resident`,
  ].join('\n');
}

export const memoryQuestion = defineQuestion({
  says:
    'resident memory of one worker under 512 MB over many runs, as it is and with a planted leak;\n' +
    '  ends with 1 when it does not reach a plateau, or when the leak is not seen',
  counts: {
    runs: { usual: 500, min: 20, says: 'runs' },
    steps: { usual: 50, min: 4, says: 'steps of each run (model calls and tool calls)' },
    'at-once': { usual: 10, min: 1, says: 'runs under way at the same time' },
  },
  async ask({ runs, steps, 'at-once': atOnce }) {
    const onProgress = (message: string): void => void process.stderr.write(`${message}\n`);
    const ask = (leaks: boolean): Promise<MemoryReport> =>
      measureMemory({ runs, steps, atOnce, leaks, onProgress });
    const reports = await withDurableServers(async () => [await ask(false), await ask(true)]);
    const [clean, leaking] = reports;
    const isRight = clean?.isPlateau === true && leaking?.isPlateau === false;
    return { report: { clean, leaking }, text: renderMemory(reports), isRight };
  },
});
