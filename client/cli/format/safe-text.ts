// Makes text from models and receivers harmless for a terminal: nothing in it can move the cursor or hide itself.

// Control characters (C0 but tab and newline, DEL, C1), bidirectional marks, zero-width characters, line separators.
const UNSAFE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The text with every character that could deceive written out, as in `\u{1b}`. Keeps newlines. */
export function toSafeText(text: string): string {
  return text.replaceAll(
    UNSAFE,
    (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`,
  );
}

/** The same on one line. */
export function toSafeLine(text: string): string {
  return toSafeText(text.replaceAll(/\s*[\r\n]+\s*/g, ' ⏎ ').replaceAll('\t', ' '));
}
