// What the cost of safety amounts to: raw measurements in, figures, violations and text out. Pure.
import { columns, fixed, range } from '../columns.ts';
import type { Commits } from './commits.ts';
import { percentile, type Spread, spreadOf } from './spread.ts';
import { type PerVariant, type Variant, VARIANT_NAMES, VARIANTS } from './variants.ts';

/** The design's limit (section 4): the permission to send, and the outcome. */
export const DURABLE_COMMITS_MAX = 2;

/** The times of all steps, by round. */
export type Rounds = readonly (readonly number[])[];

export interface Measured {
  readonly settings: Readonly<Record<string, string | number>>;
  /** Milliseconds. */
  readonly steps: PerVariant<Rounds>;
  /** Milliseconds, without Temporal. */
  readonly engine: PerVariant<Rounds>;
  /** Effects per second, by round. */
  readonly crowd: PerVariant<readonly number[]>;
  /** Round trips to PostgreSQL per effect, without Temporal. */
  readonly statements: PerVariant<number>;
  readonly commits: PerVariant<Commits>;
  /** How many effects `commits` counts. */
  readonly counted: number;
  readonly receipts: Receipts;
}

/** From the bank's log. */
export interface Receipts {
  readonly asked: number;
  readonly found: number;
  /** References that have more than one receipt. */
  readonly duplicated: readonly string[];
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The medians of the rounds. */
  readonly roundsMs: Spread;
  readonly samples: number;
}

/** The ledger against another variant: differences of percentiles, and the ratio of the medians. */
export interface Added {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly ratio: number;
  /** The same ratio, round by round. */
  readonly ratios: Spread;
}

export interface Latencies {
  readonly latency: PerVariant<Latency>;
  readonly overPlain: Added;
  readonly overFloor: Added;
}

export type CommitsPerEffect = { readonly [Name in keyof Commits]: number | null };

export interface SafetyReport {
  readonly settings: Measured['settings'];
  readonly steps: Latencies;
  readonly engine: Latencies;
  readonly effectsPerSecond: PerVariant<Spread>;
  readonly commitsPerEffect: PerVariant<CommitsPerEffect>;
  readonly statementsPerEffect: PerVariant<number>;
  readonly receipts: Receipts;
  readonly violations: readonly string[];
}

export function perVariant<T>(make: (variant: Variant) => T): PerVariant<T> {
  return { plain: make('plain'), ledger: make('ledger'), floor: make('floor') };
}

/** The figures of a measurement. Throws a `RangeError` when a variant was not measured at all. */
export function toReport(measured: Measured): SafetyReport {
  const { settings, steps, engine, crowd, commits, counted, statements, receipts } = measured;
  const commitsPerEffect = perVariant((variant) => divide(commits[variant], counted));
  return {
    settings,
    steps: toLatencies(steps),
    engine: toLatencies(engine),
    effectsPerSecond: perVariant((variant) => spreadOf(crowd[variant])),
    commitsPerEffect,
    statementsPerEffect: statements,
    receipts,
    violations: violationsOf(commitsPerEffect.ledger, receipts),
  };
}

function violationsOf({ durable }: CommitsPerEffect, receipts: Receipts): readonly string[] {
  const isOver = (durable ?? 0) > DURABLE_COMMITS_MAX;
  const over = `${durable} durable commits per effect, more than ${DURABLE_COMMITS_MAX}`;
  const { duplicated } = receipts;
  const twice = `${duplicated.length} payments with more than one receipt: ${duplicated.join(', ')}`;
  return [...(isOver ? [over] : []), ...(duplicated.length > 0 ? [twice] : [])];
}

function divide({ durable, asynchronous, all, flushes }: Commits, by: number): CommitsPerEffect {
  return {
    durable: durable / by,
    asynchronous: asynchronous / by,
    all: all / by,
    flushes: flushes === null ? null : flushes / by,
  };
}

function toLatencies(rounds: PerVariant<Rounds>): Latencies {
  return {
    latency: perVariant((variant) => toLatency(rounds[variant])),
    overPlain: toAdded(rounds.ledger, rounds.plain),
    overFloor: toAdded(rounds.ledger, rounds.floor),
  };
}

function toLatency(rounds: Rounds): Latency {
  const all = rounds.flat();
  return {
    p50Ms: percentile(all, 0.5),
    p99Ms: percentile(all, 0.99),
    roundsMs: spreadOf(rounds.map(medianOf)),
    samples: all.length,
  };
}

function toAdded(ledger: Rounds, other: Rounds): Added {
  const [mine, theirs] = [toLatency(ledger), toLatency(other)];
  return {
    p50Ms: mine.p50Ms - theirs.p50Ms,
    p99Ms: mine.p99Ms - theirs.p99Ms,
    ratio: mine.p50Ms / theirs.p50Ms,
    ratios: spreadOf(ledger.map((round, at) => medianOf(round) / medianOf(other[at] ?? round))),
  };
}

function medianOf(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The report as text. */
export function renderSafety(report: SafetyReport): string {
  const { settings, steps, engine, receipts, violations } = report;
  const { asked, found, duplicated } = receipts;
  return [
    Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
    renderLatencies('one workflow, step after step (ms a step, its workflow task included)', steps),
    renderLatencies('the engine alone, without Temporal (ms an effect)', engine),
    renderCrowd(report),
    renderCommits(report),
    `receipts: ${found} for ${asked} payments, ${duplicated.length} duplicated`,
    violations.length === 0
      ? `at most ${DURABLE_COMMITS_MAX} durable commits per effect, no receipt twice`
      : violations.join('\n'),
  ].join('\n\n');
}

function renderLatencies(title: string, { latency, overPlain, overFloor }: Latencies): string {
  const rows = VARIANTS.map((variant) => {
    const { p50Ms, p99Ms, roundsMs } = latency[variant];
    return [VARIANT_NAMES[variant], fixed(p50Ms), fixed(p99Ms), range(roundsMs)];
  });
  const added = (
    [
      ['B over A', overPlain],
      ['B over C', overFloor],
    ] as const
  ).map(([name, { p50Ms, p99Ms, ratio, ratios }]) => [
    name,
    signed(p50Ms),
    signed(p99Ms),
    `${fixed(ratio)}x, rounds ${range(ratios)}`,
  ]);
  return columns([[title, 'p50', 'p99', 'p50 of the rounds'], ...rows, ...added]);
}

function renderCrowd({ effectsPerSecond, settings }: SafetyReport): string {
  const rows = VARIANTS.map((variant) => {
    const spread = effectsPerSecond[variant];
    const share = spread.median / effectsPerSecond.plain.median;
    return [VARIANT_NAMES[variant], fixed(spread.median, 0), range(spread, 0), fixed(share)];
  });
  const title = `${settings['workflows at once']} workflows at once (effects per second)`;
  return columns([[title, 'median', 'rounds', 'of A'], ...rows]);
}

function renderCommits({ commitsPerEffect, statementsPerEffect }: SafetyReport): string {
  const rows = VARIANTS.map((variant) => {
    const { durable, asynchronous, flushes, all } = commitsPerEffect[variant];
    const cells = [durable, asynchronous, flushes, all, statementsPerEffect[variant]];
    return [VARIANT_NAMES[variant], ...cells.map((cell) => (cell === null ? '-' : fixed(cell)))];
  });
  const head = ['durable', 'asynchronous', 'WAL flushes', 'transactions', 'statements'];
  return columns([['per effect (counted by PostgreSQL)', ...head], ...rows]);
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${fixed(value)}`;
}
