// JSON without rounding: an integer that a double can't hold comes as its own digits, a string.

/** A run of 16 digits or an exponent: without either, no number of the text can be beyond 2^53. */
const MAY_ROUND = /\d{16}|\d[eE]/;

/**
 * `JSON.parse`, but numbers beyond ±(2^53 − 1) that a double would round or overflow are strings with the digits as they
 * were sent; written without an exponent they are strings always. Throws a `SyntaxError` for what is not JSON.
 */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return MAY_ROUND.test(text) ? JSON.parse(quoteNumbers(text, isExactNumber)) : value;
}

/** The same for files whose every digit counts: any number that a double does not hold is the text that was written. */
export function parseEveryDigit(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!/[\d.]{16}|\d[eE]/.test(text)) return value;
  return JSON.parse(quoteNumbers(text, (literal) => isSameDecimal(literal, Number(literal))));
}

function isSameDecimal(literal: string, value: number): boolean {
  return Number.isFinite(value) && toDigits(literal) === toDigits(String(value));
}

/** True when a double holds this JSON number as it is written, or its magnitude is below 2^53. */
export function isExactNumber(literal: string): boolean {
  const value = Number(literal);
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return true;
  if (!/[eE]/.test(literal)) return false;
  return isSameDecimal(literal, value);
}

/** Only for a text that is JSON: there, whatever begins a number outside of a string is one. */
function quoteNumbers(text: string, isKept: (literal: string) => boolean): string {
  const parts: string[] = [];
  let kept = 0;
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === MINUS || isDigit(code)) {
      const end = endOfNumber(text, at);
      const literal = text.slice(at, end);
      if (!isKept(literal)) {
        parts.push(text.slice(kept, at), `"${literal}"`);
        kept = end;
      }
      at = end;
    } else at += 1;
  }
  parts.push(text.slice(kept));
  return parts.join('');
}

const [QUOTE, BACKSLASH, MINUS] = [0x22, 0x5c, 0x2d];

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && '0123456789.eE+-'.includes(text.charAt(at))) at += 1;
  return at;
}

/** Significant digits and the power of ten behind them: the same for `1.50e21` and `1.5e+21`. */
function toDigits(literal: string): string {
  const [mantissa = '', exponent = '0'] = literal.toLowerCase().replace('-', '').split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  if (digits === '') return '0';
  const significant = digits.replace(/0+$/, '');
  const power = Number(exponent) - fraction.length + digits.length - significant.length;
  return `${significant}e${power}`;
}
