// JSON that is kept as it was written: finds what parsing would change without a word, or what cannot be stored.

export interface JsonProblem {
  /** Where it is, as in `items[3].amount`; empty for the value itself. */
  readonly path: string;
  /** What is wrong, as the end of a sentence. */
  readonly problem: string;
}

/** Deeper values are refused: recursive code of schemas, models and databases would end at them. */
export const JSON_DEPTH_MAX = 256;

interface Frame {
  /** Of an object: the keys so far. */
  readonly keys: Set<string> | undefined;
  at: string | number;
}

/**
 * The first number that loses digits, repeated key, NUL, half surrogate pair or level too deep in a text that is JSON
 * (`JSON.parse` has read it); undefined where there is none. It never throws, and never recurses.
 */
export function findJsonProblem(
  text: string,
  depthMax: number = JSON_DEPTH_MAX,
): JsonProblem | undefined {
  const frames: Frame[] = [];
  let isKey = false;
  for (let at = 0; at < text.length;) {
    const letter = text.charAt(at);
    const frame = frames.at(-1);
    const end = tokenEnd(text, at);
    const token = text.slice(at, end);
    at = end;
    let problem: string | undefined;
    if (letter === '{' || letter === '[') {
      frames.push({ keys: letter === '{' ? new Set() : undefined, at: letter === '{' ? '' : 0 });
      isKey = letter === '{';
      if (frames.length > depthMax) problem = `is nested deeper than ${depthMax} levels`;
    } else if (letter === '}' || letter === ']') {
      frames.pop();
      isKey = false;
    } else if (letter === ',') {
      isKey = frame?.keys !== undefined;
      if (typeof frame?.at === 'number') frame.at += 1;
    } else if (letter === '"') {
      problem = isKey && frame ? takeKey(frame, token) : textProblem(token);
      isKey = false;
    } else if (/[-\d]/.test(letter)) problem = numberProblem(token);
    if (problem) return { path: pathOf(problem.startsWith('is nested') ? [] : frames), problem };
  }
  return undefined;
}

/** The end of a text or a number; anything else is one letter, blank or word. */
function tokenEnd(text: string, from: number): number {
  const letter = text.charAt(from);
  if (letter === '"') {
    let at = from + 1;
    while (at < text.length && text.charAt(at) !== '"') at += text.charAt(at) === '\\' ? 2 : 1;
    return at + 1;
  }
  if (!/[-\d]/.test(letter)) return from + 1;
  let at = from + 1;
  while (/[-+.\deE]/.test(text.charAt(at))) at += 1;
  return at;
}

function takeKey(frame: Frame, token: string): string | undefined {
  const key = JSON.parse(token) as string;
  frame.at = key;
  if (frame.keys?.has(key)) return 'is there twice: only one of the two would be kept';
  frame.keys?.add(key);
  return storableProblem(key);
}

function textProblem(token: string): string | undefined {
  // Most texts have neither: they need not be parsed.
  return /\\u|\p{Surrogate}/u.test(token)
    ? storableProblem(JSON.parse(token) as string)
    : undefined;
}

/** What neither PostgreSQL nor UTF-8 can hold. */
export function storableProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'holds the letter U+0000, which cannot be stored';
  const half = /\p{Surrogate}/u.exec(text);
  if (!half) return undefined;
  const code = half[0].charCodeAt(0).toString(16).toUpperCase();
  return `holds half of a surrogate pair (U+${code}), which is no letter`;
}

function numberProblem(token: string): string | undefined {
  const value = Number(token);
  if (!Number.isFinite(value)) return `is ${shorten(token)}, which is too large for a number`;
  if (isSameDecimal(token, String(value))) return undefined;
  return `is ${shorten(token)}, which would become ${value}: write it as a text`;
}

function shorten(token: string): string {
  return token.length > 40 ? `${token.slice(0, 40)}…` : token;
}

/** True when both write one value, in whatever form. */
function isSameDecimal(one: string, other: string): boolean {
  return toDigits(one) === toDigits(other);
}

/** Digits without zeros around them, and the power of ten of the last one. */
function toDigits(token: string): string {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(token) ?? [];
  const all = `${whole}${fraction}`.replace(/^0+/, '');
  const digits = all.replace(/0+$/, '');
  if (digits === '') return '0';
  return `${sign}${digits}e${Number(power) - fraction.length + all.length - digits.length}`;
}

function pathOf(frames: readonly Frame[]): string {
  return frames
    .map(({ at }, depth) => {
      if (typeof at === 'number') return `[${at}]`;
      if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(at)) return `[${JSON.stringify(at)}]`;
      return depth === 0 ? at : `.${at}`;
    })
    .join('');
}
