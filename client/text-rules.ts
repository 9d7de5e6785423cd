// What people may write where: one rule per kind of argument, each with the words that say what is wrong.
import { findJsonProblem, storableProblem } from '../domain/rules/exact-json.ts';
import type { Json } from '../domain/rules/json.ts';
import { normaliseName } from '../domain/rules/names.ts';
import { ArgumentInvalidError } from './errors.ts';

/** Undefined when the value is fine; else the end of a sentence that begins with the field. */
export type Rule = (value: unknown) => string | undefined;

/** Letters at most. */
export const LETTERS_MAX = {
  /** Of a person, a tenant, an agent, a tool. */
  name: 200,
  /** Of a start key, a pseudonym. */
  key: 500,
  /** Of whatever names a run, an effect, an approval; a process of one's own workflows has an id of Temporal's. */
  id: 1_000,
  /** Of a reason, or evidence. */
  note: 10_000,
  /** Of what is said to a model. */
  words: 1_000_000,
} as const;

/** Bytes of JSON at most. */
export const JSON_BYTES_MAX = 16 * 1_024 * 1_024;

const COUNT_MAX = 1_000_000_000;
const MARKS_MAX = 8;
// Separators but the plain space, control and format characters, unassigned and private ones.
const UNSEEN = /(?! )[\p{Z}\p{C}\p{Default_Ignorable_Code_Point}\u2800]/u;
const MARKS = new RegExp(`\\p{M}{${MARKS_MAX + 1}}`, 'u');

/** On one line, every letter of it to be seen: it is compared, and shown to others. */
const visible =
  (max: number): Rule =>
  (value) =>
    textProblem(value, max) ?? unseenProblem(value as string);

/** Free words, over lines, in any script; they are stored as they are and shown escaped. */
const written =
  (max: number): Rule =>
  (value) =>
    textProblem(value, max);

/** The kinds of arguments. */
export const rules = {
  name: visible(LETTERS_MAX.name),
  key: visible(LETTERS_MAX.key),
  id: visible(LETTERS_MAX.id),
  note: written(LETTERS_MAX.note),
  words: written(LETTERS_MAX.words),
  flag: (value) => (typeof value === 'boolean' ? undefined : 'must be true or false'),
  count: (value) =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= COUNT_MAX
      ? undefined
      : `must be a whole number from 1 to ${COUNT_MAX}`,
  milliseconds: (value) =>
    typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
      ? undefined
      : 'must be a number of milliseconds, 0 or more',
  date: (value) =>
    value instanceof Date && !Number.isNaN(value.getTime()) ? undefined : 'must be a valid Date',
  /** A function or a signal of the caller's program, or what is checked where it is read. */
  any: () => undefined,
} as const satisfies Readonly<Record<string, Rule>>;

/** One of these words. */
export const oneOf =
  (...words: readonly string[]): Rule =>
  (value) =>
    words.includes(value as string) ? undefined : `must be one of ${words.join(', ')}`;

/** The same, or nothing. */
export const optional =
  (rule: Rule): Rule =>
  (value) =>
    value === undefined ? undefined : rule(value);

/** A list of such values. */
export const listOf =
  (rule: Rule): Rule =>
  (value) =>
    Array.isArray(value) ? firstProblem(value, rule) : 'must be a list';

/** A record whose names keep one rule, and its values another. */
export const recordOf =
  (names: Rule, values: Rule): Rule =>
  (value) => {
    if (typeof value !== 'object' || value === null) return 'must be an object';
    return firstProblem(Object.keys(value), names) ?? firstProblem(Object.values(value), values);
  };

function firstProblem(values: readonly unknown[], rule: Rule): string | undefined {
  return values.map(rule).find((problem) => problem !== undefined);
}

/** Throws ArgumentInvalidError that names the field and what is wrong with it. */
export function checkField(field: string, value: unknown, rule: Rule): void {
  const problem = rule(value);
  if (problem !== undefined) throw new ArgumentInvalidError(`${field} ${problem}.`);
}

function textProblem(value: unknown, max: number): string | undefined {
  if (typeof value !== 'string') return 'must be a text';
  if (value.trim() === '') return 'may not be empty';
  if (value.length > max) {
    return `has ${value.length.toLocaleString('en-US')} letters; at most ${max.toLocaleString('en-US')}`;
  }
  const problem = storableProblem(value);
  if (problem !== undefined) return problem;
  return normaliseName(value) === '' ? 'holds nothing that can be seen' : undefined;
}

function unseenProblem(value: string): string | undefined {
  const unseen = UNSEEN.exec(value);
  if (unseen) return `holds ${codeOf(unseen[0])}, which cannot be seen`;
  return MARKS.test(value) ? `has more than ${MARKS_MAX} marks on one letter` : undefined;
}

function codeOf(letter: string): string {
  const code = (letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `the letter U+${code}`;
}

/** The JSON of what a program gives. Throws ArgumentInvalidError with the place of what would be lost. */
export function toExactJson(field: string, value: unknown): Json {
  return parseExactJson(field, stringify(field, value));
}

/** The value of a text that `JSON.parse` reads. Throws ArgumentInvalidError with the place of what would be lost. */
export function parseExactJson(field: string, text: string): Json {
  const bytes = Buffer.byteLength(text);
  if (bytes > JSON_BYTES_MAX) {
    throw new ArgumentInvalidError(
      `${field} has ${bytes} bytes of JSON; at most ${JSON_BYTES_MAX}.`,
    );
  }
  const value = JSON.parse(text) as Json;
  const found = findJsonProblem(text);
  if (!found) return value;
  const place = found.path === '' ? field : `${field}: ${found.path}`;
  throw new ArgumentInvalidError(`${place} ${found.problem}.`);
}

function stringify(field: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value, refuseUnreal);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    throw new ArgumentInvalidError(`${field} is no JSON value: ${why}.`);
  }
  if (text === undefined) throw new ArgumentInvalidError(`${field} must be a JSON value.`);
  return text;
}

/** JSON would write `null` for it. */
function refuseUnreal(name: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new TypeError(`${name === '' ? 'it' : `"${name}"`} is ${value}`);
}
