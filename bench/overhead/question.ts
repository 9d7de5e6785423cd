// The question of `npm run bench -- overhead`: what a turn costs on Pawl, beside the bare Temporal SDK and two floors.
import { defineQuestion } from '../question.ts';
import { measureOverhead } from './measure-overhead.ts';
import { drawOverhead, renderOverhead } from './render.ts';
import { toReport } from './report.ts';

export const overheadQuestion = defineQuestion({
  says:
    'what a turn costs (one model call, one keyed transfer, 2 KiB a result; model and bank at 0 ms): Pawl, the bare\n' +
    '  Temporal SDK on the same server and settings, the same on Temporal as it ships, and two floors without Temporal,\n' +
    '  in interleaved rounds. Ends with 1 when a run does not complete or the bank has a transfer twice or not at all;\n' +
    '  never for being slow',
  counts: {
    turns: { usual: 50, min: 2, says: 'turns of one run alone' },
    runs: { usual: 100, min: 1, says: 'runs at once' },
    'run-turns': { usual: 20, min: 1, says: 'turns of each of those' },
    rounds: { usual: 3, min: 1, says: 'rounds, each with every contender' },
    'warm-up': {
      usual: 3_000,
      min: 1,
      says: 'turns of each contender before anything is measured',
    },
  },
  draws: 'draws events and bytes of history against the turn',
  async ask({ turns, runs, 'run-turns': runTurns, rounds, 'warm-up': warmUpTurns }) {
    const onProgress = (message: string): void => void process.stderr.write(`${message}\n`);
    const measured = await measureOverhead({
      ...{ turns, runs, runTurns, rounds, warmUpTurns, onProgress },
    });
    const report = toReport(measured);
    return {
      report,
      text: renderOverhead(report),
      svg: drawOverhead(report),
      isRight: report.violations.length === 0,
    };
  },
});
