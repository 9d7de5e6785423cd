// Names of people and services: when two of them are one. No look-alikes of other scripts: see docs/threat-model.md.

/**
 * Letters that a screen does not show (default-ignorables, format and control characters, separators of lines, the
 * blank braille cell), as ranges of code points: SQL writes the same ones.
 */
export const INVISIBLE_RANGES: readonly (readonly [from: number, to: number])[] = [
  ...span(0x0, 0x1f, 0x7f, 0x9f, 0xad, 0xad, 0x34f, 0x34f, 0x600, 0x605, 0x61c, 0x61c),
  ...span(0x6dd, 0x6dd, 0x70f, 0x70f, 0x890, 0x891, 0x8e2, 0x8e2, 0x115f, 0x1160, 0x17b4, 0x17b5),
  ...span(0x180b, 0x180f, 0x200b, 0x200f, 0x2028, 0x202e, 0x2060, 0x206f, 0x2800, 0x2800),
  ...span(0x3164, 0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xfeff, 0xffa0, 0xffa0, 0xfff0, 0xfffb),
  ...span(0x110bd, 0x110bd, 0x110cd, 0x110cd, 0x13430, 0x1343f, 0x1bca0, 0x1bca3),
  ...span(0x1d173, 0x1d17a, 0xe0000, 0xe0fff),
];

const INVISIBLE = new RegExp(
  `[${INVISIBLE_RANGES.map(([from, to]) => `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`).join('')}]`,
  'gu',
);

/**
 * The form in which names are compared: "Alice", "ALICE", full-width, with an invisible letter or another space are one.
 * test/contract/names.test.ts has the same in SQL.
 */
export function normaliseName(name: string): string {
  const visible = name.normalize('NFKC').replace(INVISIBLE, '');
  return foldCase(visible).normalize('NFKC').replace(/ +/g, ' ').replace(/^ | $/g, '');
}

/** True when the two may be one person. */
export function isSameName(one: string, other: string): boolean {
  return normaliseName(one) === normaliseName(other);
}

/** Upwards between two ways down: `ẞ`, `ß` and `ss` are one. */
function foldCase(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ');
}

function span(...ends: readonly number[]): (readonly [number, number])[] {
  return ends.flatMap((from, at) => (at % 2 === 0 ? [[from, ends[at + 1] ?? from] as const] : []));
}
