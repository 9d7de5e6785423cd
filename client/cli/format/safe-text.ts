// What others have written, for a terminal: safe letters, lines of ours, and a gutter that no text of theirs can leave.
import { toSafeJson, toSafeText } from '../../../domain/rules/safe-text.ts';

export { toSafeLine, toSafeText } from '../../../domain/rules/safe-text.ts';

/** Width where there is no terminal: what shows the output may break longer lines where it likes. */
const COLUMNS_DEFAULT = 80;
const WIDTH_MIN = 20;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** JSON for people and programs: nothing in it moves a cursor or hides itself, and it parses to the same value. */
export function formatSafeJson(value: unknown, indent?: number): string {
  return toSafeJson(JSON.stringify(value, null, indent));
}

/** Columns that a safe text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) width += /\p{M}/u.test(letter) ? 0 : WIDE.test(letter) ? 2 : 1;
  return width;
}

/** The beginning of a safe text that fits; whole letters. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let taken = '';
  let left = width - 1;
  for (const letter of text) {
    left -= widthOf(letter);
    if (left < 0) break;
    taken += letter;
  }
  return `${taken}…`;
}

/** Lines that a text takes between a gutter of `before` columns and the edge: none of them begins at the left edge. */
export function toLines(text: string, before: number, columns = COLUMNS_DEFAULT): string[] {
  const width = Math.max(WIDTH_MIN, columns - before);
  return toSafeText(text)
    .split('\n')
    .flatMap((line) => wrap(line, width));
}

/** Every letter is one column wide, and there is no escape. */
const PLAIN = /^[ -[\]-~]*$/;

/** The same for plain lines, which nearly all are: letter by letter a long transcript takes minutes. */
function wrapPlain(line: string, width: number): string[] {
  const lines: string[] = [];
  let from = 0;
  while (line.length - from > width) {
    const space = line.lastIndexOf(' ', from + width - 1) - from;
    const at = space > width / 2 ? space + 1 : width;
    lines.push(line.slice(from, from + at));
    from += at;
  }
  lines.push(line.slice(from));
  return lines;
}

/** Broken at a space where there is one in the second half, never inside of an escape; every letter stays. */
function wrap(line: string, width: number): string[] {
  if (PLAIN.test(line)) return wrapPlain(line, width);
  const lines: string[] = [];
  let current = '';
  let used = 0;
  for (const letter of line.match(/\\u\{[0-9a-f]+\}|[^]/gu) ?? []) {
    const wide = widthOf(letter);
    if (used + wide > width) {
      const space = current.lastIndexOf(' ');
      const at = space > current.length / 2 ? space + 1 : current.length;
      lines.push(current.slice(0, at));
      current = current.slice(at);
      used = widthOf(current);
    }
    current += letter;
    used += wide;
  }
  return [...lines, current];
}
