// Draws curves as an SVG that reads well on light and on dark pages, in colour and without. Pure.

export interface Curve {
  readonly name: string;
  readonly points: readonly Point[];
}
export type Point = readonly [x: number, y: number];

/** One pair of axes, both from 0. */
export interface Panel {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly curves: readonly Curve[];
}

const WIDTH = 720;
const PANEL_HEIGHT = 300;
const PLOT = { left: 72, right: 24, top: 58, bottom: 48 } as const;
const TICKS = 5;

// Told apart by their dashes, too: not everybody sees the colours.
const STYLES = [
  { light: '#0969da', dark: '#58a6ff', dashes: '' },
  { light: '#bc4c00', dark: '#f0883e', dashes: '7 4' },
  { light: '#8250df', dark: '#d2a8ff', dashes: '2 4' },
  { light: '#1a7f37', dark: '#3fb950', dashes: '10 3 2 3' },
] as const;

/** Curves beyond the fourth repeat its colours. Throws a `RangeError` without a point to draw. */
export function plotSvg(panels: readonly Panel[]): string {
  const height = panels.length * PANEL_HEIGHT;
  const name = escape(panels.map(({ title }) => title).join('; '));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${name}">`,
    styleSheet(),
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    ...panels.map((panel, at) => drawPanel(panel, at * PANEL_HEIGHT)),
    '</svg>\n',
  ].join('\n');
}

function styleSheet(): string {
  const colours = (theme: 'light' | 'dark'): string =>
    STYLES.map(
      (style, at) =>
        `.curve${at} { stroke: ${style[theme]}; } .dot${at} { fill: ${style[theme]}; }`,
    ).join(' ');
  const dashes = STYLES.map(({ dashes: d }, at) =>
    d ? `.curve${at} { stroke-dasharray: ${d}; }` : '',
  );
  return `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; } .muted { fill: #59636e; }
.page { fill: #ffffff; } .grid { stroke: #d1d9e0; } .axis { stroke: #59636e; }
.curve { fill: none; stroke-width: 2; } ${dashes.filter(Boolean).join(' ')}
${colours('light')}
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; } .muted { fill: #9198a1; } .page { fill: #0d1117; } .grid { stroke: #3d444d; } .axis { stroke: #9198a1; }
${colours('dark')}
}
</style>`;
}

interface Scale {
  readonly max: number;
  readonly ticks: readonly number[];
  at(value: number): number;
}

function drawPanel(panel: Panel, top: number): string {
  const points = panel.curves.flatMap((curve) => curve.points);
  if (points.length === 0) throw new RangeError(`nothing to draw in "${panel.title}"`);
  const bottom = PANEL_HEIGHT - PLOT.bottom;
  const x = toScale(Math.max(...points.map(([value]) => value)), PLOT.left, WIDTH - PLOT.right);
  const y = toScale(Math.max(...points.map(([, value]) => value)), bottom, PLOT.top);
  return [
    `<g transform="translate(0 ${top})">`,
    `<text class="title" x="16" y="24">${escape(panel.title)}</text>`,
    ...drawAxes(panel, x, y, bottom),
    ...panel.curves.map((curve, at) => drawCurve(curve, at, x, y)),
    ...drawLegend(panel.curves),
    '</g>',
  ].join('\n');
}

/** From 0 to the first round number that is not less than `max`. */
function toScale(max: number, from: number, to: number): Scale {
  const step = niceStep(max / TICKS);
  const count = Math.max(1, Math.ceil(max / step - 1e-9));
  const end = step * count;
  return {
    max: end,
    ticks: Array.from({ length: count + 1 }, (_, nth) => step * nth),
    at: (value) => from + (value / end) * (to - from),
  };
}

/** 1, 2 or 5 times a power of ten, not less than `value`. */
export function niceStep(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((each) => each * power >= value * (1 - 1e-9)) ?? 10;
  return factor * power;
}

function drawAxes(panel: Panel, x: Scale, y: Scale, bottom: number): string[] {
  const right = WIDTH - PLOT.right;
  const rows = y.ticks.flatMap((tick) => {
    const at = round(y.at(tick));
    const label = `<text class="muted" x="${PLOT.left - 8}" y="${at + 4}" text-anchor="end">${toLabel(tick)}</text>`;
    return [`<path class="grid" d="M${PLOT.left} ${at}H${right}"/>`, label];
  });
  const marks = x.ticks.map(
    (tick) =>
      `<text class="muted" x="${round(x.at(tick))}" y="${bottom + 18}" text-anchor="middle">${toLabel(tick)}</text>`,
  );
  const middle = (PLOT.left + right) / 2;
  return [
    ...rows,
    `<path class="axis" d="M${PLOT.left} ${bottom}H${right}"/>`,
    ...marks,
    `<text class="muted" x="${middle}" y="${bottom + 38}" text-anchor="middle">${escape(panel.x)}</text>`,
    `<text class="muted" transform="translate(16 ${(PLOT.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(panel.y)}</text>`,
  ];
}

function drawCurve({ points }: Curve, at: number, x: Scale, y: Scale): string {
  const style = at % STYLES.length;
  const [only, ...others] = points;
  if (only && others.length === 0) {
    return `<circle class="dot${style}" cx="${round(x.at(only[0]))}" cy="${round(y.at(only[1]))}" r="3"/>`;
  }
  const line = points.map(([px, py]) => `${round(x.at(px))} ${round(y.at(py))}`).join('L');
  return `<path class="curve curve${style}" d="M${line}"/>`;
}

/** Room for a letter of the legend: an estimate, since the font is the reader's. */
const LETTER_WIDTH = 7;

function drawLegend(curves: readonly Curve[]): string[] {
  let left: number = PLOT.left;
  return curves.flatMap(({ name }, at) => {
    const from = left;
    left += 36 + 18 + name.length * LETTER_WIDTH;
    return [
      `<path class="curve curve${at % STYLES.length}" d="M${from} 42H${from + 28}"/>`,
      `<text x="${from + 36}" y="46">${escape(name)}</text>`,
    ];
  });
}

function toLabel(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => ENTITIES[letter] ?? letter);
}
