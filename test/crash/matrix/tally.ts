// The figures of a matrix, per contract and in all: crashes, effects, duplicates, losses, doubts; and what they prove.
import Table from 'cli-table3';
import type { Contract } from '../../../domain/rules/contract.ts';
import { CONTRACTS } from './cells.ts';
import type { Verdict } from './judge.ts';
import { doubtOf } from './predict.ts';

export interface Figures {
  readonly cells: number;
  readonly crashes: number;
  /** Receipts at the receiver, by its own log. */
  readonly effects: number;
  readonly duplicated: number;
  readonly lost: number;
  readonly inDoubt: {
    /** Cells that can end in no other way. */
    readonly must: number;
    /** Cells where the commit, or the bytes, may or may not have arrived. */
    readonly may: number;
    readonly seen: number;
  };
  readonly silent: number;
  readonly violations: number;
  /** Died, but not at the point. */
  readonly missed: number;
}

export function figuresOf(verdicts: readonly Verdict[]): Figures {
  const count = (is: (verdict: Verdict) => boolean): number => verdicts.filter(is).length;
  const sum = (of: (verdict: Verdict) => number): number =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  return {
    cells: verdicts.length,
    crashes: sum(({ played }) => played.struck),
    effects: sum(({ receipts }) => receipts),
    duplicated: count(({ isDuplicated }) => isDuplicated),
    lost: count(({ isLost }) => isLost),
    inDoubt: {
      must: count(({ allowed }) => doubtOf(allowed) === 'must'),
      may: count(({ allowed }) => doubtOf(allowed) === 'may'),
      seen: count(({ end }) => end === 'in_doubt'),
    },
    silent: count(({ isSilent }) => isSilent),
    violations: count(({ violations }) => violations.length > 0),
    missed: count(({ played }) => played.missed > 0),
  };
}

export type Tally = Readonly<Record<Contract | 'all', Figures>>;

export function tallyOf(verdicts: readonly Verdict[]): Tally {
  const entries = CONTRACTS.map((contract): [string, Figures] => [
    contract,
    figuresOf(verdicts.filter(({ played }) => played.cell.contract === contract)),
  ]);
  return Object.fromEntries([...entries, ['all', figuresOf(verdicts)]]) as Tally;
}

const HEAD = [
  '',
  'cells',
  'crashes',
  'effects',
  'duplicated',
  'lost',
  'in doubt: must + may / seen',
  'silent',
  'unpredicted',
];

export function renderTally(tally: Tally): string {
  const table = new Table({ head: HEAD, style: { head: [], border: [] } });
  for (const [name, each] of Object.entries(tally)) {
    const { must, may, seen } = each.inDoubt;
    const doubts = `${must} + ${may} / ${seen}`;
    const { cells, crashes, effects, duplicated, lost, silent, violations } = each;
    table.push([name, cells, crashes, effects, duplicated, lost, doubts, silent, violations]);
  }
  return table.toString();
}

/** What `found` failures in so many trials prove at 95 %; of none the rule of three. */
export function boundOf(found: number, trials: number): string {
  if (trials === 0) return 'nothing was tried';
  if (found > 0) return `${found} of ${trials.toLocaleString('en')}`;
  const bound = Math.min(1, 3 / trials).toExponential(1);
  return `0 of ${trials.toLocaleString('en')}: at 95 %, fewer than ${bound} per crash`;
}
