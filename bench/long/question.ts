// The question of `npm run bench -- long`: whether a run of thousands of turns stays as cheap and outlives its workers.
import { columns } from '../columns.ts';
import { defineQuestion } from '../question.ts';
import { withDurableServers } from '../safety/servers.ts';
import { type LongReport, measureLong } from './measure-long.ts';

/** The report as text. */
export function renderLong(report: LongReport): string {
  const { turns, seconds, executions, kills, transcriptEntries, transcriptBytes, bands } = report;
  const rows = bands.map(({ from, to, events, bytes, ms }) =>
    [`${from}-${to}`, events, bytes, Math.round(ms)].map(String),
  );
  const share = (growth: number): string => `${(growth * 100).toFixed(1)} %`;
  return [
    columns([['turns', 'events', 'bytes', 'ms (medians)'], ...rows]),
    `${turns} turns in ${seconds.toFixed(0)} s, ${executions} executions, worker killed ${kills} times`,
    `transcript: ${transcriptEntries} entries, ${(transcriptBytes / 1e6).toFixed(1)} MB`,
    `from turn 10 on the largest turn has ${share(report.eventsGrowth)} more events and ` +
      `${share(report.bytesGrowth)} more bytes than the smallest (without compactions and workflow tasks that a kill cut)`,
    report.violations.length === 0
      ? 'one run, each transfer once, turns constant within 10 %'
      : report.violations.join('\n'),
  ].join('\n');
}

export const longQuestion = defineQuestion({
  says:
    'events, bytes and time of each turn of one long run through continue-as-new, its worker killed at random turns;\n' +
    '  ends with 1 when a turn grows by more than 10 % or a transfer is missing or is there twice',
  counts: {
    turns: { usual: 2_000, min: 2, says: 'turns of the run' },
    bytes: { usual: 5_000, min: 1, says: 'bytes of a tool result' },
    kills: { usual: 10, min: 0, says: 'how often the worker is killed' },
    seed: { usual: 1, min: 0, says: 'chooses at which turns' },
    compacting: { usual: 0, min: 0, says: '1: the model is shown a summary of what lies back' },
  },
  async ask({ turns, bytes, kills, seed, compacting }) {
    const onProgress = (message: string): void => void process.stderr.write(`${message}\n`);
    const agent = compacting > 0 ? 'compacting' : 'long';
    const report = await withDurableServers(() =>
      measureLong({ turns, resultBytes: bytes, kills, seed, agent, onProgress }),
    );
    return { report, text: renderLong(report), isRight: report.violations.length === 0 };
  },
});
