// The report as text and as a drawing. Pure.
import { columns, fixed, range } from '../columns.ts';
import { type Panel, plotSvg } from '../plot-svg.ts';
import { type Contender, CONTENDER_NAMES, CONTENDERS } from './contenders.ts';
import { type CpuPerTurn, type Figures, type OverheadReport, withHistory } from './report.ts';

/** The report as text. */
export function renderOverhead(report: OverheadReport): string {
  const { settings, receipts, violations } = report;
  const many = `${settings['runs at once']} runs at once`;
  return [
    renderSettings(report),
    renderRatios(report),
    table(report, 'one run alone: ms a turn', ['p50', 'p99', 'p50 of the rounds'], (figures) => {
      const { p50Ms, p99Ms, roundsMs } = figures.alone;
      return [fixed(p50Ms), fixed(p99Ms), range(roundsMs)];
    }),
    table(
      report,
      `${many}: turns per second, ms a turn`,
      ['median', 'rounds', 'p50', 'p99'],
      ({ turnsPerSecond, crowd }) => [
        fixed(turnsPerSecond.median, 0),
        range(turnsPerSecond, 0),
        fixed(crowd.p50Ms, 0),
        fixed(crowd.p99Ms, 0),
      ],
    ),
    table(report, `${many}: CPU ms a turn`, CPU_HEAD, ({ cpuCrowd }) => cpuCells(cpuCrowd)),
    table(report, 'one run alone: CPU ms a turn', CPU_HEAD, ({ cpuAlone }) => cpuCells(cpuAlone)),
    table(report, 'per turn', COUNT_HEAD, countCells),
    renderRpcs(report),
    `receipts: ${receipts.found} for ${receipts.asked} transfers`,
    violations.length === 0
      ? 'every run completed, every transfer made once'
      : violations.join('\n'),
  ].join('\n\n');
}

/** The long ones on lines of their own. */
function renderSettings({ settings }: OverheadReport): string {
  const isLong = ([name]: readonly [string, unknown]): boolean => name.startsWith('settings of');
  const entries = Object.entries(settings);
  const short = entries.filter((entry) => !isLong(entry));
  const lines = entries.filter(isLong).map(([name, value]) => `${name}: ${value}`);
  return [short.map(([name, value]) => `${name} ${value}`).join(', '), ...lines].join('\n');
}

function renderRatios({ ratios }: OverheadReport): string {
  const rows = ratios.map(({ name, aim, rounds }) => [
    name,
    fixed(rounds.median),
    range(rounds),
    aim,
  ]);
  return columns([['ratio', 'median', 'rounds', 'aim'], ...rows]);
}

function table(
  { contenders }: OverheadReport,
  title: string,
  head: readonly string[],
  cellsOf: (figures: Figures) => readonly string[],
): string {
  const rows = CONTENDERS.map((contender) => [
    CONTENDER_NAMES[contender],
    ...cellsOf(contenders[contender]),
  ]);
  return columns([[title, ...head], ...rows]);
}

const CPU_HEAD = ['worker', 'Temporal', 'PostgreSQL', 'together', '(provider, bank)'];

function cpuCells(cpu: CpuPerTurn | null): readonly string[] {
  if (!cpu) return CPU_HEAD.map(() => '-');
  const { worker, temporal, postgres, engine, receivers } = cpu;
  return [worker, temporal, postgres, engine, receivers].map((ms) => fixed(ms, 1));
}

const COUNT_HEAD = [
  ...['RPCs', 'events', 'bytes, middle', 'bytes, last', 'statements', 'durable', 'asynchronous'],
  ...['transactions', 'WAL flushes', 'worker MB', 'Temporal MB'],
];

function countCells({ rpcs, history, database, memoryMb }: Figures): readonly string[] {
  const calls = rpcs && Object.values(rpcs).reduce((sum, count) => sum + count, 0);
  return [
    orDash(calls, 1),
    orDash(history?.eventsPerTurn, 1),
    orDash(history?.bytesMiddle, 0),
    orDash(history?.bytesLast, 0),
    orDash(database?.statements, 1),
    orDash(database?.durable, 2),
    orDash(database?.asynchronous, 2),
    orDash(database?.transactions, 2),
    orDash(database?.flushes, 2),
    orDash(memoryMb.worker, 0),
    orDash(memoryMb.temporal, 0),
  ];
}

function orDash(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined ? '-' : fixed(value, digits);
}

/** Which requests they are. */
function renderRpcs({ contenders }: OverheadReport): string {
  const rows = CONTENDERS.flatMap((contender) => {
    const { rpcs } = contenders[contender];
    if (!rpcs) return [];
    const calls = Object.entries(rpcs).map(([operation, count]) => `${operation} ${fixed(count)}`);
    return [`${CONTENDER_NAMES[contender]}: ${calls.join(', ')}`];
  });
  return ["requests of the worker to Temporal (the server's own count), per turn", ...rows].join(
    '\n',
  );
}

const CURVE_NAMES: Readonly<Partial<Record<Contender, string>>> = {
  pawl: 'Pawl',
  local: 'Pawl, short tool',
  bare: 'bare SDK, transcript in a table',
  shipped: 'bare SDK, transcript in history',
};

/** Events and kilobytes of each turn. */
export function drawOverhead(report: OverheadReport): string {
  const curvesOf = (valueOf: (size: { events: number; bytes: number }) => number) =>
    withHistory(report)
      .toReversed()
      .map(({ contender, history }) => ({
        name: CURVE_NAMES[contender] ?? contender,
        points: history.turns.map((size) => [size.turn, valueOf(size)] as const),
      }));
  const panels: readonly Panel[] = [
    {
      title: 'History written by each turn',
      ...{ x: 'turn', y: 'KiB' },
      curves: curvesOf(({ bytes }) => bytes / 1_024),
    },
    {
      title: 'Events of each turn',
      ...{ x: 'turn', y: 'events' },
      curves: curvesOf(({ events }) => events),
    },
  ];
  return plotSvg(panels);
}
