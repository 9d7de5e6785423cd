// Stuck runs as text: a card each, with the cause and what to do.
import type { StuckRunView } from '../../stuck-runs.ts';
import type { CliIo } from '../cli-io.ts';
import { formatCard } from './table.ts';
import { formatTime, formatWhen } from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

/** The second section of `pawl doubts`; empty when no run is stuck. */
export function formatStuckRuns(io: Terminal, runs: readonly StuckRunView[], now: Date): string {
  if (runs.length === 0) return '';
  const cards = runs.map((run) => formatStuckRun(io, run, now));
  return `\n${io.paint('bold', 'Stuck runs')}\n${cards.join('\n')}`;
}

function formatStuckRun(io: Terminal, run: StuckRunView, now: Date): string {
  const { runKey, agent, turn, type, message, stuckAt, advice } = run;
  const since = stuckAt ? `${formatTime(stuckAt)} (${formatWhen(stuckAt, now)})` : '';
  return formatCard(io, [
    ['stuck', `${runKey}  ${agent}, turn ${turn}`, 'bold'],
    ['cause', type, 'bad'],
    ['because', message],
    ['since', since],
    ['do', advice],
    ['details', `pawl show ${runKey}`],
  ]);
}
