// `pawl doctor` as text: a line per check, and below a problem what to do.
import type { HealthCheck } from '../../health-check.ts';
import type { HealthReport } from '../../health.ts';
import type { CliIo } from '../cli-io.ts';
import { toSafeLine } from './safe-text.ts';
import { toneOf } from './values.ts';

const MARKS = { pass: 'ok', warn: 'warn', fail: 'FAIL', unknown: '?' } as const;

/** Every check, then the verdict. */
export function formatHealth({ paint }: Pick<CliIo, 'paint'>, report: HealthReport): string {
  const width = Math.max(...report.checks.map(({ name }) => name.length));
  const lines = report.checks.map((check) => formatCheck(paint, check, width));
  return `${lines.join('')}\n${formatVerdict(paint, report)}\n`;
}

function formatCheck(paint: CliIo['paint'], check: HealthCheck, width: number): string {
  const { name, status, detail, advice } = check;
  const mark = paint(toneOf(status), MARKS[status].padEnd(5));
  const first = `${mark} ${name.padEnd(width)}  ${toSafeLine(detail)}\n`;
  return advice
    ? `${first}${' '.repeat(width + 8)}${paint('dim', `-> ${toSafeLine(advice)}`)}\n`
    : first;
}

function formatVerdict(paint: CliIo['paint'], { status, checks }: HealthReport): string {
  const count = (wanted: HealthCheck['status']): number =>
    checks.filter((check) => check.status === wanted).length;
  if (status === 'fail') return paint('bad', `${count('fail')} failed, ${count('warn')} warnings`);
  if (status === 'warn') return paint('warn', `nothing failed, ${count('warn')} warnings`);
  return paint('good', 'all is well');
}
