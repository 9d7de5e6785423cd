// Approvals as text: complete, because a human binds exactly what is shown.
import type { ApprovalView, DecisionView } from '../../approval-views.ts';
import type { CliIo } from '../cli-io.ts';
import { toSafeLine } from './safe-text.ts';
import { formatCard, formatTable } from './table.ts';
import {
  formatArguments,
  formatMoney,
  formatStatus,
  formatTime,
  formatWhen,
  toneOf,
} from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

/** `pawl approvals`. */
export function formatApprovals(
  io: Terminal,
  approvals: readonly ApprovalView[],
  now: Date,
): string {
  if (approvals.length === 0) return 'Nothing waits for an approval.\n';
  const table = formatTable<ApprovalView>(
    io,
    [
      { head: 'APPROVAL', cell: ({ id }) => id },
      { head: 'WHAT', cell: ({ summary }) => summary, isFlexible: true },
      { head: 'AMOUNT', cell: ({ amount }) => formatMoney(amount), align: 'right' },
      {
        head: 'ASKED BY',
        cell: ({ requester, agent }) => `${requester} (${agent})`,
        isFlexible: true,
      },
      { head: 'RULE', cell: ({ rule }) => rule, isFlexible: true },
      { head: 'WAITS', cell: ({ createdAt }) => formatWhen(createdAt, now) },
      { head: 'EXPIRES', cell: ({ expiresAt }) => formatWhen(expiresAt, now), tone: () => 'warn' },
    ],
    approvals,
  );
  const advice =
    'See all of one and decide: pawl approve (on a terminal). At once: pawl approve APPROVAL --as YOU,\n' +
    'or pawl deny APPROVAL --as YOU --reason TEXT';
  return `${table}\n${io.paint('dim', advice)}\n`;
}

/** Everything that a decision binds. */
export function formatApproval(io: Terminal, approval: ApprovalView, now: Date): string {
  const { id, requirement, expiresAt } = approval;
  return formatCard(io, [
    ['approval', id, 'bold'],
    ['status', formatStatus(approval.status), toneOf(approval.status)],
    ['what', approval.summary, 'bold'],
    ['tool', approval.tool],
    ['amount', formatMoney(approval.amount), 'bold'],
    ['arguments', formatArguments(approval.arguments)],
    ['effect', approval.effect],
    ['run', `${approval.runKey}, turn ${approval.turn}`],
    ['agent', approval.agent],
    ['requester', approval.requester],
    ['rule', approval.rule],
    ['approver must be', requirement === '' ? 'anyone but the requester' : requirement],
    ['expires', `${formatTime(expiresAt)} (${formatWhen(expiresAt, now)})`],
  ]);
}

/** One line that says what was decided. */
export function formatDecision(
  io: Terminal,
  approval: ApprovalView,
  { decision, approver, reason }: DecisionView,
): string {
  const word = decision === 'approve' ? io.paint('good', 'Approved') : io.paint('bad', 'Denied');
  const why = reason ? `: ${reason}` : '';
  return `${word} ${approval.id} by ${toSafeLine(`${approver}${why}`)}\n`;
}
