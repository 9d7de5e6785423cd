// Effects as text: the list, and a doubt with what to do about it.
import type { EffectView } from '../../effect-views.ts';
import type { SettleAnswer } from '../../settle-effect.ts';
import type { CliIo } from '../cli-io.ts';
import { toSafeLine } from './safe-text.ts';
import { type Column, type Field, formatCard, formatTable } from './table.ts';
import { formatJson, formatMoney, formatStatus, formatTime, formatWhen, toneOf } from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

/** `pawl effects`. */
export function formatEffects(
  io: Terminal,
  effects: readonly EffectView[],
  now: Date,
  { hasRun = true }: { hasRun?: boolean } = {},
): string {
  if (effects.length === 0) return 'No effects.\n';
  const run: readonly Column<EffectView>[] = hasRun
    ? [{ head: 'RUN', cell: ({ runKey }) => runKey }]
    : [];
  return formatTable<EffectView>(
    io,
    [
      { head: 'EFFECT', cell: ({ effect }) => effect },
      { head: 'SUMMARY', cell: ({ summary }) => summary, isFlexible: true },
      { head: 'CONTRACT', cell: ({ contract }) => contract },
      {
        head: 'STATUS',
        cell: (effect) =>
          `${formatStatus(effectStatus(effect))}${effect.isPending ? ', accepted' : ''}`,
        tone: (effect) => toneOf(effectStatus(effect)),
      },
      { head: 'SENDS', cell: ({ sends }) => String(sends), align: 'right' },
      ...run,
      { head: 'UPDATED', cell: ({ updatedAt }) => formatWhen(updatedAt, now) },
    ],
    effects,
  );
}

/** A conflict outranks the status: a human has to look. */
export function effectStatus({ status, hasConflict }: EffectView): string {
  return hasConflict ? 'conflict' : status;
}

/** Accepted and not done yet: until when the receiver may take, and by which name it knows it. */
export function formatPending({ isPending, leaseUntil, reference }: EffectView, now: Date): string {
  if (!isPending) return '';
  const until = leaseUntil
    ? ` until ${formatTime(leaseUntil)} (${formatWhen(leaseUntil, now)})`
    : '';
  const name = reference === null ? '' : `, reference ${reference}`;
  return `accepted by the receiver, waiting for its word${until}${name}`;
}

/** Refused: its code; else the reason. */
export function formatReason({ code, reason }: Pick<EffectView, 'code' | 'reason'>): string {
  if (code && reason && code !== reason) return `${code}: ${reason}`;
  return reason ?? code ?? '';
}

/** `pawl settle`: what stands now, and since when when it was said before. */
export function formatSettled(
  { paint }: Pick<Terminal, 'paint'>,
  { effect, settlement, isRepetition }: SettleAnswer,
): string {
  const { outcome, settledBy, settledAt, evidence } = settlement;
  const word = isRepetition ? 'Already settled' : 'Settled';
  const when = isRepetition ? ` at ${formatTime(settledAt)}` : '';
  const what = `${effect.effect} (${effect.summary}) as ${formatStatus(outcome)}`;
  return `${paint('good', word)} ${toSafeLine(`${what} by ${settledBy}${when}: ${evidence}`)}\n`;
}

/** `pawl doubts`: one card each, with the commands that settle it. */
export function formatDoubts(io: Terminal, doubts: readonly EffectView[], now: Date): string {
  if (doubts.length === 0) return 'No doubts: every effect that was sent has a definite outcome.\n';
  const cards = doubts.map((doubt) => formatDoubt(io, doubt, now));
  const advice =
    'Ask the receiver (by its idempotency key) whether it happened, then settle with the evidence.\n' +
    'A late answer of the receiver settles a doubt by itself.\n' +
    'Where the workflow is gone, settling puts the truth on record and wakes nobody: what did not happen is started anew.\n';
  return `${cards.join('\n')}\n${io.paint('dim', advice)}`;
}

/** A worker that woke up late may have told that it never wrote. */
function formatSends({ sends, sendsMax, contract }: EffectView): string {
  const count = `${sends} of at most ${sendsMax} (${contract})`;
  return sends === 0 ? `${count}: provably nothing has left since` : count;
}

function formatDoubt(io: Terminal, doubt: EffectView, now: Date): string {
  const { effect, summary, firstSentAt } = doubt;
  const sent = firstSentAt ? `${formatTime(firstSentAt)} (${formatWhen(firstSentAt, now)})` : '';
  return formatCard(io, [
    ['doubt', `${effect}  ${summary}`, 'bold'],
    ['status', formatStatus(effectStatus(doubt)), toneOf(effectStatus(doubt))],
    ['because', formatReason(doubt)],
    ['amount', formatMoney(doubt.amount)],
    ['arguments', formatJson(doubt.arguments, 400)],
    ['first sent', sent],
    ['sends', formatSends(doubt)],
    ['idempotency key', doubt.wireKey],
    ['run', doubt.runKey],
    ['story', { command: `pawl why ${effect}` }],
    ...formatWaysOut(doubt),
  ]);
}

/** What a worker still has to look at is not settled by hand, unless the receiver has accepted it. */
function formatWaysOut({ effect, isUnattended, isPending }: EffectView): Field[] {
  if (isUnattended && !isPending) return [['to be done', { command: 'pawl doctor' }]];
  return [
    [
      'it happened',
      { command: `pawl settle ${effect} applied --evidence 'receipt …' --output '{…}'` },
    ],
    ['it did not', { command: `pawl settle ${effect} not-applied --evidence '…'` }],
  ];
}
