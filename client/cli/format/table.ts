// Tables and cards for a terminal: safe text, no borders, cut to the width, never coloured behind our back.
import CliTable from 'cli-table3';
import type { CliIo, Tone } from '../cli-io.ts';
import { cutTo, toLines, toSafeLine, widthOf } from './safe-text.ts';

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

/** Only flexible columns shrink, the widest first; undefined: not cut. */
function fitWidths<Row>(
  columns: readonly Column<Row>[],
  texts: readonly (readonly string[])[],
  width: number | undefined,
): readonly (number | undefined)[] {
  if (width === undefined) return columns.map(() => undefined);
  const natural = columns.map(({ head }, at) =>
    Math.max(head.length, ...texts.map((cells) => widthOf(cells[at] ?? ''))),
  );
  const widths = [...natural];
  const excess = natural.reduce((sum, one) => sum + one + GAP, -GAP) - width;
  for (let left = excess; left > 0; left -= 1) {
    const flexible = widths.map((one, at) => (columns[at]?.isFlexible ? one : 0));
    const widest = Math.max(...flexible);
    if (widest <= FLEXIBLE_WIDTH_MIN) break;
    widths[flexible.indexOf(widest)] = widest - 1;
  }
  return columns.map(({ isFlexible }, at) => (isFlexible ? widths[at] : undefined));
}

function cut(text: string, width: number | undefined): string {
  return width === undefined ? text : cutTo(text, width);
}

/** A command of ours, in one piece: it is copied. */
export interface Command {
  readonly command: string;
}

/** A labelled value; an empty one is left out. */
export type Field = readonly [
  label: string,
  value: string | Command | null | undefined,
  tone?: Tone,
];

/**
 * Labels on the left, values on the right. Further lines of a value stand below it, behind a gutter, and long ones are
 * broken here: whatever a value holds, none of its lines begins where a label does.
 */
export function formatCard({ paint, columns }: Terminal, fields: readonly Field[]): string {
  const shown = fields.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const width = Math.max(0, ...shown.map(([label]) => label.length)) + GAP;
  const gutter = `${' '.repeat(width - GAP)}${paint('dim', '│')} `;
  return shown
    .map(([label, value, tone]) => {
      const lines =
        typeof value === 'object' ? [value?.command ?? ''] : toLines(value ?? '', width, columns);
      const painted = lines.map((line) => (tone ? paint(tone, line) : line));
      return `${paint('dim', label.padEnd(width))}${painted.join(`\n${gutter}`)}\n`;
    })
    .join('');
}
