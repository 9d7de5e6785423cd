// Erasures, collections, audits and rotations as text.
import type { AuditReport } from '../../audit-run.ts';
import type { GarbageReport } from '../../collect-garbage.ts';
import type { EraseAnswer, ErasedRun } from '../../erase-run.ts';
import type { RotationReport } from '../../rotate-keys.ts';
import type { CliIo } from '../cli-io.ts';
import { toSafeLine } from './safe-text.ts';
import { formatCount, formatDuration } from './values.ts';

/** A line per run, then what is left to know. */
export function formatErasure({ paint }: Pick<CliIo, 'paint'>, answer: EraseAnswer): string {
  if (answer.runs.length === 0) return 'no run to erase\n';
  const lines = answer.runs.map((run) => formatErased(paint, run));
  const forks = answer.forks.map(
    (fork) =>
      `${paint('warn', 'note')} ${fork} was forked from here and holds copies: erase it, too\n`,
  );
  return [...lines, ...forks].join('');
}

function formatErased(paint: CliIo['paint'], { runKey, rows, histories }: ErasedRun): string {
  const bodies = Object.values(rows).reduce((sum, count) => sum + count, 0);
  const what =
    bodies === 0 ? 'nothing was left' : `${formatCount(bodies)} rows without their bodies`;
  const history =
    histories === null
      ? paint('warn', "Temporal did not answer: repeat this to delete the run's history")
      : `${histories} histories deleted`;
  return `${paint('good', 'erased')} ${runKey}: ${what}; ${history}\n`;
}

export function formatGarbage(report: GarbageReport): string {
  const { runs, isDryRun, endedBefore, temporalRetentionMs, kept } = report;
  const did = isDryRun ? 'would be erased' : 'erased';
  return (
    `${formatCount(runs)} runs ${did} that ended before ${endedBefore.toISOString()} ` +
    `(Temporal keeps histories for ${formatDuration(temporalRetentionMs)})\n` +
    (kept === 0 ? '' : `${formatCount(kept)} kept: an effect is open, or a relative goes on\n`)
  );
}

export function formatAudit({ paint }: Pick<CliIo, 'paint'>, report: AuditReport): string {
  const { runs, entries, effects, rows, bodies, erased, locked, problems } = report;
  const counted =
    `${formatCount(runs)} runs, ${formatCount(entries)} transcript entries (${formatCount(bodies)} bodies compared, ` +
    `${formatCount(erased)} erased, ${formatCount(locked)} locked), ${formatCount(effects)} effects, ` +
    `${formatCount(rows)} sealed rows\n`;
  const lines = problems.map(
    ({ runKey, where, what }) =>
      `${paint('bad', 'CHANGED')} ${runKey} ${where}: ${toSafeLine(what)}\n`,
  );
  const verdict = report.isIntact
    ? paint('good', 'intact')
    : paint('bad', `${formatCount(problems.length)} problems`);
  return `${lines.join('')}${counted}${verdict}\n`;
}

export function formatRotation({ currentKeyId, rewrapped, remaining }: RotationReport): string {
  const rest =
    remaining === 0
      ? 'none names an older key\n'
      : `${formatCount(remaining)} still name an older key: do all workers have "${currentKeyId}" first? Then repeat.\n`;
  return `${formatCount(rewrapped)} data keys wrapped with "${currentKeyId}"; ${rest}`;
}
