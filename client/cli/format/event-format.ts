// The lines of `pawl watch`: one per event, readable from the side.
import type { RunEvent } from '../../run-events.ts';
import type { CliIo, Tone } from '../cli-io.ts';
import { effectStatus, formatPending, formatReason } from './effect-format.ts';
import { formatOutput } from './run-format.ts';
import { toLines } from './safe-text.ts';
import { formatCard } from './table.ts';
import {
  formatCause,
  formatCost,
  formatCount,
  formatDuration,
  formatMoney,
  formatStatus,
  formatWhen,
  toneOf,
} from './values.ts';

type Terminal = Pick<CliIo, 'paint' | 'columns'>;
type EventOf<Kind extends RunEvent['kind']> = Extract<RunEvent, { kind: Kind }>;

/** One line, or a few where a human has to act; ends with a newline. */
export function formatEvent(io: Terminal, event: RunEvent, now: Date): string {
  switch (event.kind) {
    case 'status':
      return formatStatusEvent(io, event);
    case 'turn':
      return formatTurn(io, event);
    case 'call':
      return formatCall(io, event);
    case 'approval':
      return formatAsked(io, event, now);
    case 'decision':
      return formatDecided(io, event);
    case 'effect':
      return formatEffectEvent(io, event, now);
    case 'call-ended':
      // An effect has said it already.
      return event.effect && event.ended === 'applied' ? '' : formatEnded(io, event);
    case 'steered':
      return formatSteered(io, event);
    case 'unreachable':
      return line(io, 'wait', 'warn', event.message);
    case 'finished':
      return formatFinished(io, event);
  }
}

/** Columns of a label and the space after it: no line of a text begins there. */
const LABEL = 10;

function line(io: Terminal, label: string, tone: Tone, text: string): string {
  const lines = toLines(
    text.replaceAll(/\s*[\r\n]+\s*/g, ' ⏎ ').replaceAll('\t', ' '),
    LABEL,
    io.columns,
  );
  return `${io.paint(tone, label.padEnd(LABEL - 1))} ${lines.join(`\n${' '.repeat(LABEL)}`)}\n`;
}

function formatStatusEvent(
  io: Terminal,
  { status, stuckCause, runKey }: EventOf<'status'>,
): string {
  const first = line(io, 'status', toneOf(status), formatStatus(status));
  if (status !== 'stuck') return first;
  const cause = line(
    io,
    '',
    'bad',
    stuckCause === null ? 'cause unknown' : formatCause(stuckCause),
  );
  return `${first}${cause}${line(io, '', 'dim', `after a fix: pawl resume ${runKey}`)}`;
}

function formatTurn(io: Terminal, turn: EventOf<'turn'>): string {
  const tokens = `${formatCount(turn.inputTokens)} in, ${formatCount(turn.outputTokens)} out`;
  const cost = turn.isPriced ? `, ${formatCost(turn.costMicroUsd)}` : '';
  const took = formatDuration(turn.durationMs);
  return line(io, `turn ${turn.turn}`, 'bold', `${turn.modelServed} · ${tokens}${cost} · ${took}`);
}

function formatCall(
  io: Terminal,
  { verdict, summary, rule, message, effect }: EventOf<'call'>,
): string {
  const tones = { permit: 'info', approve: 'warn', forbid: 'bad', invalid: 'bad' } as const;
  const why = message ? ` (${message})` : '';
  const id = effect ? `  ${effect}` : '';
  return line(io, verdict, tones[verdict], `${summary}${id}  by ${rule}${why}`);
}

function formatAsked(io: Terminal, { approval }: EventOf<'approval'>, now: Date): string {
  const { id, summary, requester, expiresAt, status } = approval;
  const money = formatMoney(approval.amount);
  const what = summary.includes(money) ? summary : `${summary} · ${money}`;
  if (status !== 'pending') return line(io, 'asks', 'warn', what);
  const asked = line(io, 'asks', 'warn', `${what} · expires ${formatWhen(expiresAt, now)}`);
  return `${asked}${line(io, '', 'dim', `pawl approve ${id} --as NAME    (anyone but ${requester})`)}`;
}

function formatDecided(io: Terminal, event: EventOf<'decision'>): string {
  const { decision, approver, reason, summary, approvalId } = event;
  const words = { approve: 'approved', deny: 'denied', expired: 'expired', obsolete: 'obsolete' };
  const word = words[decision];
  const who = approver ? ` by ${approver}` : '';
  return line(
    io,
    word,
    toneOf(word),
    `${summary}  ${approvalId}${who}${reason ? `: ${reason}` : ''}`,
  );
}

function formatEffectEvent(io: Terminal, { effect }: EventOf<'effect'>, now: Date): string {
  const status = effectStatus(effect);
  const sends = effect.sends > 1 ? ` · send ${effect.sends}` : '';
  const reason = formatPending(effect, now) || formatReason(effect);
  const text = `${effect.summary}  ${effect.effect}${sends}${reason ? `  (${reason})` : ''}`;
  const first = line(io, formatStatus(status), toneOf(status), text);
  if (status !== 'in_doubt' && status !== 'conflict') return first;
  return `${first}${line(io, '', 'dim', `pawl why ${effect.effect}, then pawl settle ${effect.effect}`)}`;
}

function formatEnded(io: Terminal, { ended, summary, message }: EventOf<'call-ended'>): string {
  const word = ended ?? 'ended';
  return line(io, formatStatus(word), toneOf(word), `${summary}${message ? `  (${message})` : ''}`);
}

function formatSteered(io: Terminal, { author, text, consumedTurn }: EventOf<'steered'>): string {
  const when = consumedTurn === null ? 'waits for the next turn' : `shown in turn ${consumedTurn}`;
  return line(io, 'steer', 'info', `${author}: ${text} (${when})`);
}

function formatFinished(io: Terminal, { result, output, runKey }: EventOf<'finished'>): string {
  const kind = result?.kind ?? 'ended';
  return `\n${formatCard(io, [
    ['run', runKey, 'bold'],
    ['result', formatStatus(kind), toneOf(kind)],
    ['reason', result?.reason],
    ['turns', result ? String(result.turns) : ''],
    ['cost', result ? formatCost(result.usage.costMicroUsd) : ''],
    ['output', formatOutput(output)],
  ])}`;
}
