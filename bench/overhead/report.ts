// What a comparison amounts to: raw measurements in; figures, ratios and what is wrong out. Pure.
import type { TurnSize } from '../history-growth.ts';
import { percentile, type Spread, spreadOf } from '../safety/spread.ts';
import type { CpuMs, Sample } from './bench.ts';
import {
  type Contender,
  CONTENDERS,
  OF_PAWL,
  type PerContender,
  perContender,
} from './contenders.ts';
import type { CountedRun } from './count-run.ts';
import type { Measured, Memory } from './measure-overhead.ts';
import type { Receipts } from './wire-logs.ts';

/** Milliseconds of a turn. */
export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The medians of the rounds. */
  readonly roundsMs: Spread;
  readonly samples: number;
}

/** CPU milliseconds a turn; `engine` is worker, Temporal and PostgreSQL together: what the contender costs. */
export type CpuPerTurn = CpuMs & { readonly engine: number };

export interface Growth {
  readonly eventsPerTurn: number;
  /** Of the turns in the middle of the run and at its end: equal where history is linear. */
  readonly bytesMiddle: number;
  readonly bytesLast: number;
  readonly turns: readonly TurnSize[];
}

/** Per turn; of one run, with its start and end and its worker's start. */
export interface DatabaseWork {
  readonly durable: number;
  readonly asynchronous: number;
  readonly transactions: number;
  /** Null with `fsync = off`. */
  readonly flushes: number | null;
  readonly statements: number;
}

export interface Figures {
  readonly alone: Latency;
  readonly crowd: Latency;
  readonly turnsPerSecond: Spread;
  /** Null where there is no `/proc`. */
  readonly cpuAlone: CpuPerTurn | null;
  readonly cpuCrowd: CpuPerTurn | null;
  /** By operation, of one run alone; null without Temporal. */
  readonly rpcs: Readonly<Record<string, number>> | null;
  /** Null without Temporal. */
  readonly history: Growth | null;
  /** Null without PostgreSQL. */
  readonly database: DatabaseWork | null;
  readonly memoryMb: Memory;
}

/** One ratio beside what the design aims at; nothing fails for missing it. */
export interface Ratio {
  readonly name: string;
  readonly aim: string;
  /** By round. */
  readonly rounds: Spread;
}

export interface OverheadReport {
  readonly settings: Measured['settings'];
  readonly contenders: PerContender<Figures>;
  readonly ratios: readonly Ratio[];
  readonly receipts: Receipts;
  readonly violations: readonly string[];
}

/** Throws a `RangeError` when a contender was not measured at all. */
export function toReport(measured: Measured): OverheadReport {
  const { settings, receipts } = measured;
  return {
    settings,
    contenders: perContender((contender) => toFigures(measured, contender)),
    ratios: toRatios(measured),
    receipts,
    violations: violationsOf(receipts),
  };
}

function violationsOf({ missing, duplicated }: Receipts): readonly string[] {
  return [
    ...(missing.length > 0 ? [`${missing.length} transfers not made: ${some(missing)}`] : []),
    ...(duplicated.length > 0
      ? [`${duplicated.length} transfers made more than once: ${some(duplicated)}`]
      : []),
  ];
}

const NAMED_MAX = 10;

function some(references: readonly string[]): string {
  const rest = references.length - NAMED_MAX;
  return references.slice(0, NAMED_MAX).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function toFigures(measured: Measured, contender: Contender): Figures {
  const alone = measured.alone[contender];
  const crowd = measured.crowd[contender];
  const history = measured.history[contender];
  const counted = measured.counted[contender];
  return {
    alone: toLatency(alone),
    crowd: toLatency(crowd),
    turnsPerSecond: spreadOf(crowd.map(throughputOf)),
    cpuAlone: toCpuPerTurn(alone),
    cpuCrowd: toCpuPerTurn(crowd),
    rpcs: toRpcsPerTurn(alone),
    history: history ? toGrowth(history) : null,
    database: counted ? toDatabaseWork(counted) : null,
    memoryMb: measured.memoryMb[contender],
  };
}

function toLatency(samples: readonly Sample[]): Latency {
  const all = samples.flatMap(({ turnTimesMs }) => turnTimesMs);
  return {
    p50Ms: percentile(all, 0.5),
    p99Ms: percentile(all, 0.99),
    roundsMs: spreadOf(samples.map(medianOf)),
    samples: all.length,
  };
}

function medianOf({ turnTimesMs }: Sample): number {
  return percentile(turnTimesMs, 0.5);
}

function throughputOf({ turns, seconds }: Sample): number {
  return turns / seconds;
}

function engineCpuOf({ cpuMs, turns }: Sample): number | undefined {
  return cpuMs ? (cpuMs.worker + cpuMs.temporal + cpuMs.postgres) / turns : undefined;
}

function toCpuPerTurn(samples: readonly Sample[]): CpuPerTurn | null {
  const turns = samples.reduce((sum, sample) => sum + sample.turns, 0);
  const perTurn = (name: keyof CpuMs): number =>
    samples.reduce((sum, { cpuMs }) => sum + (cpuMs?.[name] ?? 0), 0) / turns;
  if (samples.some(({ cpuMs }) => cpuMs === null)) return null;
  const [worker, temporal, postgres] = [
    perTurn('worker'),
    perTurn('temporal'),
    perTurn('postgres'),
  ];
  const engine = worker + temporal + postgres;
  return { worker, temporal, postgres, engine, receivers: perTurn('receivers') };
}

function toRpcsPerTurn(samples: readonly Sample[]): Readonly<Record<string, number>> | null {
  const sums: Record<string, number> = {};
  let turns = 0;
  for (const sample of samples) {
    if (!sample.rpcs) return null;
    turns += sample.turns;
    for (const [operation, count] of Object.entries(sample.rpcs)) {
      sums[operation] = (sums[operation] ?? 0) + count;
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([name, count]) => [name, count / turns]));
}

function toGrowth(turns: readonly TurnSize[]): Growth {
  const middle = turns[Math.floor((turns.length - 1) / 2)];
  const events = turns.reduce((sum, turn) => sum + turn.events, 0);
  return {
    eventsPerTurn: events / turns.length,
    bytesMiddle: middle?.bytes ?? 0,
    bytesLast: turns.at(-1)?.bytes ?? 0,
    turns,
  };
}

function toDatabaseWork({ job, commits, statements }: CountedRun): DatabaseWork {
  const { durable, asynchronous, all, flushes } = commits;
  const sent = Object.values(statements).reduce((sum, { count }) => sum + count, 0);
  return {
    durable: durable / job.turns,
    asynchronous: asynchronous / job.turns,
    transactions: all / job.turns,
    flushes: flushes === null ? null : flushes / job.turns,
    statements: sent / job.turns,
  };
}

type RatioRow = readonly [name: string, aim: string, rounds: Spread | undefined];
const RATIO_NAMES: Readonly<Partial<Record<Contender, string>>> = {
  pawl: 'Pawl',
  local: 'Pawl, short tool',
};

function toRatios({ alone, crowd, settings }: Measured): readonly Ratio[] {
  const between = (
    samples: PerContender<readonly Sample[]>,
    [over, under]: readonly [Contender, Contender],
    valueOf: (sample: Sample) => number | undefined,
  ): Spread | undefined => {
    const ratios = samples[over].flatMap((sample, round) => {
      const [one, other] = [sample, samples[under][round]].map((each) => each && valueOf(each));
      return one === undefined || !other ? [] : [one / other];
    });
    return ratios.length === 0 ? undefined : spreadOf(ratios);
  };
  const many = `${settings['runs at once']} runs at once`;
  const rows = OF_PAWL.flatMap((pawl): readonly RatioRow[] => {
    const name = RATIO_NAMES[pawl];
    const pair = [pawl, 'bare'] as const;
    return [
      [`${name} / bare: ms a turn, one run`, 'at most 1.15', between(alone, pair, medianOf)],
      [`${name} / bare: CPU a turn, one run`, 'at most 1.15', between(alone, pair, engineCpuOf)],
      [`${name} / bare: CPU a turn, ${many}`, 'at most 1.15', between(crowd, pair, engineCpuOf)],
      [
        `${name} / bare: turns per second, ${many}`,
        'at least 0.87',
        between(crowd, pair, throughputOf),
      ],
      [
        `as shipped / ${name}: ms a turn, one run`,
        'at least 4',
        between(alone, ['shipped', pawl], medianOf),
      ],
    ];
  });
  return rows.flatMap(([name, aim, rounds]) => (rounds ? [{ name, aim, rounds }] : []));
}

/** The contenders whose turns have a history, in their order. */
export function withHistory({
  contenders,
}: OverheadReport): readonly { readonly contender: Contender; readonly history: Growth }[] {
  return CONTENDERS.flatMap((contender) => {
    const { history } = contenders[contender];
    return history ? [{ contender, history }] : [];
  });
}
