// Numbers and columns of text for reports. Pure.
import type { Spread } from './safety/spread.ts';

export function fixed(value: number, digits = 2): string {
  return value.toFixed(digits);
}

export function range({ min, max }: Spread, digits = 2): string {
  return `${fixed(min, digits)}-${fixed(max, digits)}`;
}

/** Rows as wide as their widest cells: the first cell to the left, all others to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  const pad = (cell: string, at: number): string =>
    at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}
