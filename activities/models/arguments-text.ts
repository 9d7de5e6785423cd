// A model's arguments text as a value, or what is wrong with it and where. Pure.
import type { Json } from '../../domain/rules/json.ts';

/** How deeply arguments may nest; code that walks them recursively stays far from its stack's end. */
export const ARGUMENTS_DEPTH_MAX = 100;

export type ArgumentsRead =
  | { readonly kind: 'value'; readonly value: Json }
  /** `problem` names the place; absent: the text is not JSON at all. */
  | { readonly kind: 'malformed'; readonly problem?: string };

/**
 * Reads the text of a call's arguments; no text at all means no arguments. JSON that a JavaScript value can't hold as
 * written is malformed: numbers that would be rounded, duplicate and `__proto__` keys, half surrogate pairs, NULs, and
 * nesting beyond 100 levels.
 */
export function readArguments(text: string): ArgumentsRead {
  if (text.trim() === '') return { kind: 'value', value: {} };
  try {
    const value = JSON.parse(text) as Json;
    const problem = findProblem(text);
    return problem === undefined ? { kind: 'value', value } : { kind: 'malformed', problem };
  } catch {
    return { kind: 'malformed' };
  }
}

/** An object or an array that is open where the scan stands. */
interface Frame {
  /** Of an object, so far; undefined for an array. */
  readonly keys: Set<string> | undefined;
  /** The key or index of the value that comes next. */
  step: string | number;
  isAtKey: boolean;
}

/** The first problem in a text that `JSON.parse` accepts. Not recursive: it must survive any depth. */
function findProblem(text: string): string | undefined {
  const open: Frame[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const frame = open.at(-1);
    const char = text[at];
    if (char === '{' || char === '[') {
      if (open.length === ARGUMENTS_DEPTH_MAX)
        return `${toPath(open)}: nested deeper than ${ARGUMENTS_DEPTH_MAX} levels`;
      open.push(
        char === '{'
          ? { keys: new Set(), step: '', isAtKey: true }
          : { keys: undefined, step: 0, isAtKey: false },
      );
    } else if (char === '}' || char === ']') open.pop();
    else if (char === ',' && frame) goOn(frame);
    else if (char === '"') {
      const end = endOfString(text, at);
      const problem = stringProblem(open, toString(text.slice(at, end)));
      if (problem) return `${toPath(open)}: ${problem}`;
      at = end - 1;
    } else if (char === '-' || (char !== undefined && char >= '0' && char <= '9')) {
      const number = numberAt(text, at);
      if (!isKept(number)) return `${toPath(open)}: ${describeNumber(number)}`;
      at += number.length - 1;
    }
  }
  return undefined;
}

function goOn(frame: Frame): void {
  if (typeof frame.step === 'number') frame.step += 1;
  else frame.isAtKey = true;
}

/** The index after the closing quote of the string that begins at `at`. */
function endOfString(text: string, at: number): number {
  let end = at;
  do {
    end = text.indexOf('"', end + 1);
  } while (isEscaped(text, end));
  return end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

function toString(token: string): string {
  return token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
}

/** A key is also noted: it is the step to the value that follows. */
function stringProblem(open: readonly Frame[], string: string): string | undefined {
  const frame = open.at(-1);
  if (!frame?.keys || !frame.isAtKey) return textProblem(string);
  const isThere = frame.keys.has(string);
  frame.keys.add(string);
  frame.step = string;
  frame.isAtKey = false;
  if (isThere) return 'this key is there twice';
  if (string === '__proto__') return 'a key must not be named __proto__';
  return textProblem(string);
}

function textProblem(text: string): string | undefined {
  if (text.includes('\u0000')) return 'the text holds a NUL, which cannot be stored';
  if (/\p{Surrogate}/u.test(text)) return 'the text holds half of a surrogate pair';
  return undefined;
}

function numberAt(text: string, at: number): string {
  const number = /[-+.0-9eE]+/y;
  number.lastIndex = at;
  return number.exec(text)?.[0] ?? '';
}

/** Longer numbers are not looked at: no double needs so many digits. */
const NUMBER_LENGTH_MAX = 400;

/** Whether the double is the number that was written: an integer within ±(2^53 - 1), or the same decimal when printed. */
function isKept(text: string): boolean {
  const value = Number(text);
  if (!Number.isFinite(value) || text.length > NUMBER_LENGTH_MAX) return false;
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(value);
  return toDecimal(text) === toDecimal(String(value));
}

/** Digits and exponent without the sign; the same for all ways to write one number, such as `1.50e3` and `1500`. */
function toDecimal(text: string): string {
  const [, whole = '', fraction = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

function describeNumber(text: string): string {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `the number ${shown} would be rounded; write fewer digits, or a string where the tool takes one`;
}

const PATH_LENGTH_MAX = 200;

/** Such as `items.0.amount`, as the schema's own problems are named. */
function toPath(open: readonly Frame[]): string {
  const path = open.map(({ step }) => step).join('.') || 'arguments';
  return path.length > PATH_LENGTH_MAX ? `${path.slice(0, PATH_LENGTH_MAX)}…` : path;
}
