// What provider and bank have seen: when each turn began, and which transfers were made how often.
import { readFileSync } from 'node:fs';
import { readReceipts } from '../../devstack/receivers/index.ts';
import { type Job, referenceOf } from './contenders.ts';

/** Milliseconds of every turn of these runs: from one request to the model to the next one of the same run. */
export function readTurnTimesMs(turnsFile: string, jobs: readonly Job[]): readonly number[] {
  return turnTimesMs(readFileSync(turnsFile, 'utf8'), jobs);
}

/** One line a request: `run turn atMs`. A turn that a retry asked for again begins with its first request. */
export function turnTimesMs(log: string, jobs: readonly Job[]): readonly number[] {
  const begins = new Map<string, number>();
  for (const line of log.split('\n')) {
    const [run = '', turn = '', atMs] = line.split(' ');
    const reference = referenceOf(run, Number(turn));
    if (!begins.has(reference)) begins.set(reference, Number(atMs));
  }
  return jobs.flatMap(({ run, turns }) =>
    Array.from({ length: turns }, (_, at) => {
      const [begin, next] = [at + 1, at + 2].map((turn) => begins.get(referenceOf(run, turn)));
      if (begin === undefined || next === undefined) {
        throw new Error(`turn ${at + 1} of ${run} is not in the provider's log`);
      }
      return next - begin;
    }),
  );
}

/** From the bank's log. */
export interface Receipts {
  readonly asked: number;
  readonly found: number;
  readonly missing: readonly string[];
  readonly duplicated: readonly string[];
}

/** Every turn of every run has to have one receipt. */
export function checkReceipts(bankLog: string, jobs: readonly Job[]): Receipts {
  const { receipts } = readReceipts(bankLog);
  return compareReceipts(
    receipts.map(({ reference }) => reference),
    jobs,
  );
}

export function compareReceipts(found: readonly string[], jobs: readonly Job[]): Receipts {
  const asked = jobs.flatMap(({ run, turns }) =>
    Array.from({ length: turns }, (_, at) => referenceOf(run, at + 1)),
  );
  const counts = new Map<string, number>();
  for (const reference of found) counts.set(reference, (counts.get(reference) ?? 0) + 1);
  return {
    asked: asked.length,
    found: found.length,
    missing: asked.filter((reference) => !counts.has(reference)),
    duplicated: [...counts].flatMap(([reference, count]) => (count > 1 ? [reference] : [])),
  };
}
