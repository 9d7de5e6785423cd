// Values as people read them: ages, money, JSON, statuses. Pure.
import { formatAmount, fromMicroUsd } from '../../../domain/rules/money.ts';
import { LOCKED_TEXT } from '../../../activities/encryption/encryption.ts';
import type { Json } from '../../../domain/rules/json.ts';
import type { Tone } from '../cli-io.ts';

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

/** `850 ms`, `12 s`, `3 min`, `2 d`: one unit, rounded down. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  for (const [unit, size] of UNITS) {
    if (whole >= size) return `${Math.floor(whole / size)} ${unit}`;
  }
  return `${whole} ms`;
}

/** `12 s ago`, `in 3 h`. */
export function formatWhen(at: Date, now: Date): string {
  const differenceMs = at.getTime() - now.getTime();
  if (Math.abs(differenceMs) < 1_000) return 'now';
  return differenceMs > 0
    ? `in ${formatDuration(differenceMs)}`
    : `${formatDuration(-differenceMs)} ago`;
}

/** `2026-03-01 03:14:15.926Z`: sorts, and names its zone. */
export function formatTime(at: Date): string {
  return at.toISOString().replace('T', ' ');
}

/** `03:14:15`, for lines of a watch. */
export function formatClock(at: Date): string {
  return at.toISOString().slice(11, 19);
}

/** `$0.0123`. */
export function formatCost(microUsd: number): string {
  return `$${fromMicroUsd(BigInt(Math.round(microUsd)))}`;
}

/** `EUR 20.00`; an amount with a currency that nobody knows is shown as it is stored. */
export function formatMoney(
  amount: { readonly minor: number; readonly currency: string } | null,
): string {
  if (!amount) return '';
  try {
    return formatAmount(amount);
  } catch {
    return `${amount.minor} minor units of ${amount.currency}`;
  }
}

/** `1,234` */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** `waiting_approval` as `waiting approval`. */
export function formatStatus(status: string): string {
  return status.replaceAll('_', ' ');
}

/** A value on one line, cut at `max` characters. */
export function formatJson(value: Json, max = Number.POSITIVE_INFINITY): string {
  const text = JSON.stringify(value);
  return text.length <= max
    ? text
    : `${text.slice(0, max - 1)}… (${formatCount(text.length)} letters in all)`;
}

/** What a call is given, as JSON whatever it is: two that differ are never shown as one. */
export function formatArguments(value: Json): string {
  return value === LOCKED_TEXT ? LOCKED_TEXT : JSON.stringify(value, null, 2);
}

/** A value over several lines; a plain text as it is. */
export function formatJsonBlock(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

/** A cause of whatever shape: its message where it has one. */
export function formatCause(cause: Json): string {
  if (typeof cause === 'string') return cause;
  if (typeof cause === 'object' && cause !== null && 'message' in cause) {
    const { message } = cause;
    const type = 'type' in cause && typeof cause.type === 'string' ? `${cause.type}: ` : '';
    if (typeof message === 'string') return `${type}${message}`;
  }
  return formatJson(cause);
}

const TONES: Readonly<Record<string, Tone>> = {
  completed: 'good',
  applied: 'good',
  approved: 'good',
  pass: 'good',
  delivered: 'good',
  running: 'info',
  starting: 'info',
  dispatched: 'info',
  waiting_approval: 'warn',
  pending: 'warn',
  paused: 'warn',
  cancelling: 'warn',
  warn: 'warn',
  stuck: 'bad',
  in_doubt: 'bad',
  fail: 'bad',
  conflict: 'bad',
  denied: 'bad',
  intended: 'dim',
  refused: 'warn',
  cancelled: 'dim',
  skipped: 'dim',
  expired: 'dim',
  obsolete: 'dim',
  unknown: 'dim',
};

/** How alarming a status is; ends other than `completed` are. */
export function toneOf(status: string): Tone {
  return TONES[status] ?? 'bad';
}
