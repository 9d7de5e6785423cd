// What a thrown value says, in words. Total: code may throw anything, and looking at it may throw again.

/** A message may be a receiver's whole page. */
const CHARS_MAX = 4_000;
/** A cause may be its own cause. */
const CAUSES_MAX = 5;
const UNREADABLE = 'a thrown value that cannot be read';

/** One line about any thrown value, its causes included: `TypeError: no route (Error: refused)`. Never throws. */
export function describeThrown(thrown: unknown): string {
  return cut(describe(thrown, CAUSES_MAX));
}

/** The message of an error without its name, or the value as text. Never throws. */
export function messageOfThrown(thrown: unknown): string {
  return cut(textOf(member(thrown, 'message')) ?? spell(thrown));
}

/** The same value, or an error in its place where even `instanceof` throws, as at a proxy that refuses to be looked at. */
export function inspectable(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error);
    return thrown;
  } catch {
    return new Error(UNREADABLE);
  }
}

/** A member of a value that may be none, or may throw when it is looked at: undefined then. */
export function member(value: unknown, name: string): unknown {
  try {
    return (value as Record<string, unknown> | null | undefined)?.[name];
  } catch {
    return undefined;
  }
}

function describe(thrown: unknown, depth: number): string {
  const message = textOf(member(thrown, 'message'));
  if (message === undefined) return spell(thrown);
  const name = textOf(member(thrown, 'name')) ?? 'Error';
  const cause = member(thrown, 'cause');
  const isError = textOf(member(cause, 'message')) !== undefined;
  return `${name}: ${message}${isError && depth > 1 ? ` (${describe(cause, depth - 1)})` : ''}`;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function spell(value: unknown): string {
  try {
    const text = String(value);
    return text === '[object Object]' ? (JSON.stringify(value) ?? text) : text;
  } catch {
    return UNREADABLE;
  }
}

/** Never inside of a surrogate pair: half of one cannot be stored. */
function cut(text: string): string {
  if (text.length <= CHARS_MAX) return text;
  return `${text.slice(0, CHARS_MAX - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
