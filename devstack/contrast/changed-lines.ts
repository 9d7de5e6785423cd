// How many lines two files differ by: the longest common subsequence of their lines, as `diff` counts.
import { readFileSync } from 'node:fs';

export interface ChangedLines {
  /** Lines of the second file that the first one lacks. */
  readonly added: number;
  readonly removed: number;
}

/** Counts as `diff` does; comments and empty lines do not count. */
export function countChangedLines(before: string, after: string): ChangedLines {
  const [first, second] = [toCode(before), toCode(after)];
  const common = longestCommon(first, second);
  return { added: second.length - common, removed: first.length - common };
}

/** The same for files. */
export function countChangedLinesOfFiles(before: string, after: string): ChangedLines {
  return countChangedLines(readFileSync(before, 'utf8'), readFileSync(after, 'utf8'));
}

function toCode(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trimEnd());
  return lines.filter((line) => line !== '' && !/^\s*(\/\/|\/\*\*.*\*\/$)/.test(line));
}

function longestCommon(first: readonly string[], second: readonly string[]): number {
  let row = new Array<number>(second.length + 1).fill(0);
  for (const line of first) {
    const next = [0];
    second.forEach((other, at) => {
      const extended = (row[at] ?? 0) + 1;
      next.push(line === other ? extended : Math.max(row[at + 1] ?? 0, next[at] ?? 0));
    });
    row = next;
  }
  return row.at(-1) ?? 0;
}
