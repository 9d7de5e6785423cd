// The question of `npm run bench -- recovery`: how soon runs go on after SIGKILL, and how soon they start and send.
import { defineQuestion } from '../question.ts';
import { withDurableServers } from '../safety/servers.ts';
import {
  type ManagerReport,
  measureRecovery,
  type RecoveryReport,
  type Times,
} from './measure-recovery.ts';

const NAMES: Readonly<Record<ManagerReport['kind'], string>> = {
  outside: 'time-outs alone, restarted from outside',
  cold: 'pawl worker --spares 0',
  spare: 'pawl worker, warm spare',
};

/** The report as text. */
export function renderRecovery(report: RecoveryReport): string {
  const [outside] = report.managers;
  const rows = report.managers.flatMap(({ kind, one, ten, start }) => [
    row(`${NAMES[kind]}: SIGKILL to the next request, one run`, one, outside?.one),
    ...(ten ? [row('  ten runs at once, each of them', ten, outside?.ten)] : []),
    row('  start of a worker process to polling (prebuilt bundle, tsx)', start, undefined),
  ]);
  return [
    `${''.padEnd(74)}  count    p50    p99    max (ms)   p50 to the first row`,
    ...rows,
    row('start accepted to the first model request', report.firstStep, undefined),
    row('approval decided to the transfer at the bank', report.approvalToSend, undefined),
    report.violations.length === 0
      ? 'every run completed, every transfer has one receipt at the bank'
      : report.violations.join('\n'),
  ].join('\n');
}

function row(what: string, times: Times, base: Times | undefined): string {
  const { count, p50, p99, max } = times;
  const numbers = [count, p50, p99, max].map((value) => String(value).padStart(7)).join('');
  const ratio = base ? `   ${(p50 / base.p50).toFixed(2)}x` : '';
  return `${what.padEnd(74)}${numbers}${ratio}`;
}

export const recoveryQuestion = defineQuestion({
  says:
    'SIGKILL of the worker to the next request of its runs on the wire, for three ways to get the next worker; the start of a\n' +
    '  worker; start accepted to first model request; approval decided to send. Ends with 1 when a run does not complete or a\n' +
    '  transfer has not one receipt at the bank; never for being slow. Servers as in `safety`',
  counts: {
    kills: { usual: 20, min: 1, says: 'kills of each kind with one run at work' },
    crowds: { usual: 5, min: 0, says: 'kills of each kind with ten runs at work' },
    local: { usual: 0, min: 0, says: '1: the transfer is a short tool (`local`)' },
    steps: { usual: 30, min: 1, says: 'first steps, and approvals' },
  },
  async ask(counts) {
    const onProgress = (message: string): void => void process.stderr.write(`${message}\n`);
    const report = await withDurableServers(() => measureRecovery(counts, onProgress));
    return { report, text: renderRecovery(report), isRight: report.violations.length === 0 };
  },
});
