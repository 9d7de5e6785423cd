// Tables and cards for a terminal: safe text, no borders, cut to the width, never coloured behind our back.
import CliTable from 'cli-table3';
import type { CliIo, Tone } from '../cli-io.ts';
import { toSafeLine, toSafeText } from './safe-text.ts';

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  readonly tone?: (row: Row) => Tone | undefined;
  readonly align?: 'left' | 'right';
  /** Gives up its width first when the terminal is narrow. */
  readonly isFlexible?: boolean;
}

type Terminal = Pick<CliIo, 'paint' | 'columns'>;

const GAP = 2;
const FLEXIBLE_WIDTH_MIN = 12;
const BORDERLESS = {
  ...Object.fromEntries(
    ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left'].map(noLine),
  ),
  ...Object.fromEntries(
    ['bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'].map(noLine),
  ),
  middle: ' '.repeat(GAP),
};

function noLine(name: string): readonly [string, string] {
  return [name, ''];
}

/** A table; every cell is one line. Ends with a newline. */
export function formatTable<Row>(
  { paint, columns: width }: Terminal,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string {
  const texts = rows.map((row) => columns.map(({ cell }) => toSafeLine(cell(row))));
  const widths = fitWidths(columns, texts, width);
  const table = new CliTable({
    head: columns.map(({ head }) => paint('dim', head)),
    chars: BORDERLESS,
    // cli-table3 colours heads and borders by itself otherwise, also into a pipe.
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: columns.map(({ align }) => align ?? 'left'),
  });
  rows.forEach((row, index) => {
    const cells = columns.map(({ tone }, at) => {
      const text = cut(texts[index]?.[at] ?? '', widths[at]);
      const painted = tone?.(row);
      return painted ? paint(painted, text) : text;
    });
    table.push(cells);
  });
  return `${table.toString().replaceAll(/[ \t]+$/gm, '')}\n`;
}

/** Only flexible columns shrink; undefined: not cut. */
function fitWidths<Row>(
  columns: readonly Column<Row>[],
  texts: readonly (readonly string[])[],
  width: number | undefined,
): readonly (number | undefined)[] {
  if (width === undefined) return columns.map(() => undefined);
  const natural = columns.map(({ head }, at) =>
    Math.max(head.length, ...texts.map((cells) => cells[at]?.length ?? 0)),
  );
  const flexible = columns.filter(({ isFlexible }) => isFlexible).length;
  const excess = natural.reduce((sum, one) => sum + one + GAP, -GAP) - width;
  if (excess <= 0 || flexible === 0) return columns.map(() => undefined);
  const share = Math.ceil(excess / flexible);
  return columns.map(({ isFlexible }, at) =>
    isFlexible ? Math.max(FLEXIBLE_WIDTH_MIN, (natural[at] ?? 0) - share) : undefined,
  );
}

function cut(text: string, width: number | undefined): string {
  return width === undefined || text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** A labelled value; an empty one is left out. */
export type Field = readonly [label: string, value: string | null | undefined, tone?: Tone];

/** Labels on the left, values on the right; further lines of a value are indented below it. */
export function formatCard({ paint }: Pick<Terminal, 'paint'>, fields: readonly Field[]): string {
  const shown = fields.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const width = Math.max(0, ...shown.map(([label]) => label.length)) + GAP;
  return shown
    .map(([label, value, tone]) => {
      const lines = toSafeText(value ?? '').split('\n');
      const painted = lines.map((line) => (tone ? paint(tone, line) : line));
      return `${paint('dim', label.padEnd(width))}${painted.join(`\n${' '.repeat(width)}`)}\n`;
    })
    .join('');
}
