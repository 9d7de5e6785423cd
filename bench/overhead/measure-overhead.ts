// Measures the contenders side by side: interleaved rounds of one run alone and of many at once, then what is counted untimed.
import { withCleanUps } from '../../testing/clean-ups.ts';
import { connectClient } from '../connect.ts';
import { type TurnSize, turnSizes } from '../history-growth.ts';
import { readServerSettings } from '../server-settings.ts';
import { type Bench, openBench, runMany, type Sample, takeSample } from './bench.ts';
import {
  type Contender,
  CONTENDERS,
  IN_POSTGRES,
  MODEL_ACTIVITIES,
  type PerContender,
  perContender,
} from './contenders.ts';
import { type CountedRun, countRun } from './count-run.ts';
import { readRssMb } from './cpu.ts';
import { openSite, type Site } from './site.ts';
import { checkReceipts, type Receipts } from './wire-logs.ts';

export interface OverheadOptions {
  /** Of one run alone. */
  readonly turns: number;
  /** At once. */
  readonly runs: number;
  /** Of each of those. */
  readonly runTurns: number;
  readonly rounds: number;
  /** Of each contender, before anything is measured. */
  readonly warmUpTurns: number;
  readonly onProgress?: (message: string) => void;
}

export interface Measured {
  readonly settings: Readonly<Record<string, string | number>>;
  /** By round. */
  readonly alone: PerContender<readonly Sample[]>;
  /** By round. */
  readonly crowd: PerContender<readonly Sample[]>;
  readonly memoryMb: PerContender<Memory>;
  /** Of the last run alone; undefined without Temporal. */
  readonly history: PerContender<readonly TurnSize[] | undefined>;
  /** Undefined without PostgreSQL. */
  readonly counted: PerContender<CountedRun | undefined>;
  readonly receipts: Receipts;
}

/** Resident, after the rounds; null where there is no `/proc`, or no such process. */
export interface Memory {
  readonly worker: number | null;
  readonly temporal: number | null;
}

/** On servers of its own. Judges nothing by its time; throws when a run does not complete. */
export function measureOverhead(options: OverheadOptions): Promise<Measured> {
  const { onProgress } = options;
  return withCleanUps(async (cleanUps) => {
    onProgress?.('starting servers and workers');
    const site = await openSite(cleanUps);
    const bench = await openBench(site, cleanUps);
    const rounds = await runRounds(bench, options);
    const history = await readHistories(bench);
    const memoryMb = perContender((contender) => readMemory(bench, contender));
    const settings = { ...(await readSettings(site)), ...describe(options, site) };
    await bench.close();
    onProgress?.('counting statements and commits');
    const counted = await countRuns(site, options);
    const jobs = [...bench.runs, ...Object.values(counted).flatMap((run) => run?.job ?? [])];
    const receipts = checkReceipts(site.bankLog, jobs);
    return { settings, ...rounds, memoryMb, history, counted, receipts };
  });
}

async function runRounds(
  bench: Bench,
  { turns, runs, runTurns, rounds, warmUpTurns, onProgress }: OverheadOptions,
): Promise<Pick<Measured, 'alone' | 'crowd'>> {
  const alone = perContender((): Sample[] => []);
  const crowd = perContender((): Sample[] => []);
  for (const contender of CONTENDERS) {
    onProgress?.(`warming up: ${contender}`);
    for (let done = 0; done < warmUpTurns; done += runs * runTurns) {
      await runMany(bench, contender, { runs, turns: runTurns });
    }
  }
  for (let round = 0; round < rounds; round += 1) {
    onProgress?.(`round ${round + 1} of ${rounds}`);
    for (const contender of rotated(round)) {
      alone[contender].push(await takeSample(bench, contender, { runs: 1, turns }));
      crowd[contender].push(await takeSample(bench, contender, { runs, turns: runTurns }));
    }
  }
  return { alone, crowd };
}

/** Nobody is always the first one, or always behind the same one's load. */
function rotated(by: number): readonly Contender[] {
  const at = by % CONTENDERS.length;
  return [...CONTENDERS.slice(at), ...CONTENDERS.slice(0, at)];
}

async function readHistories(bench: Bench): Promise<Measured['history']> {
  const sizes = new Map<Contender, readonly TurnSize[]>();
  for (const contender of CONTENDERS) {
    // The longest ones are the runs alone, and of these the last one has no warm-up around it.
    const longest = Math.max(
      ...bench.runs.flatMap((run) => (run.contender === contender ? [run.turns] : [])),
    );
    const last = bench.runs.findLast((run) => run.contender === contender && run.turns === longest);
    const history = last && (await bench.doors[contender].history(last.workflowId));
    if (history) sizes.set(contender, turnSizes(history, MODEL_ACTIVITIES[contender]));
  }
  return perContender((contender) => sizes.get(contender));
}

function readMemory({ site, started }: Bench, contender: Contender): Memory {
  const temporal = site.temporalOf(contender)?.pid;
  return {
    worker: readRssMb(started[contender].worker.pid),
    temporal: temporal === undefined ? null : readRssMb(temporal),
  };
}

async function countRuns(site: Site, { turns }: OverheadOptions): Promise<Measured['counted']> {
  const counted = new Map<Contender, CountedRun>();
  for (const contender of IN_POSTGRES) {
    counted.set(contender, await countRun(site, contender, turns));
  }
  return perContender((contender) => counted.get(contender));
}

function readSettings({ tuned, postgres }: Site): Promise<Readonly<Record<string, string>>> {
  return withCleanUps(async (cleanUps) =>
    readServerSettings(await connectClient(tuned.address, cleanUps), postgres.url),
  );
}

function describe(
  { turns, runs, runTurns, rounds, warmUpTurns }: OverheadOptions,
  { tuned, shipped }: Site,
): Measured['settings'] {
  return {
    rounds,
    'turns before them': warmUpTurns,
    'turns of one run alone': turns,
    'runs at once': runs,
    'turns each': runTurns,
    'settings of Temporal, for Pawl and the bare SDK': tuned.settings,
    'settings of Temporal, as shipped': shipped.settings,
  };
}
