// What the explorer prints: a row per contract, and every violation with the shortest way to it.
import type { Explored } from './explore.ts';
import { properties } from './world.ts';

const COLUMNS = ['contract', 'faults', 'states', 'edges', 'depth', 'violations', 'seconds'];

/** The results as a table, then the violations. */
export function toTable(results: readonly Explored[]): string {
  const rows = [COLUMNS, ...results.map(toRow)];
  const total = results.reduce((sum, { states }) => sum + states, 0);
  const widths = COLUMNS.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  '),
  );
  const found = results.flatMap(describeViolations);
  return [...lines, `${total.toLocaleString('en')} states`, ...found].join('\n');
}

function toRow(result: Explored): string[] {
  const { setting, states, edges, depth, violations, seconds, isComplete } = result;
  const more = isComplete ? '' : '+';
  return [
    setting.name,
    String(setting.budget),
    `${states.toLocaleString('en')}${more}`,
    `${edges.toLocaleString('en')}${more}`,
    String(depth),
    String(violations.length),
    seconds.toFixed(1),
  ];
}

/** Each violation in words: the property, what broke it, and the way there. */
export function describeViolations({ setting, violations }: Explored): string[] {
  return violations.flatMap(({ property, what, trace }) => [
    '',
    `${setting.name}, ${property}: ${what}`,
    `(${properties[property]})`,
    ...trace,
  ]);
}
