// Measures how soon runs go on after SIGKILL, for each way to start the next worker, on the same servers.
import { join } from 'node:path';
import { percentile } from '../safety/spread.ts';
import { LOCAL_TOOL } from './agents.ts';
import { type ManagerKind, MANAGERS, startManager } from './managers.ts';
import { approvalToSendMs, firstStepMs, killOnce } from './scenes.ts';
import { type Site, withSite } from './site.ts';

export interface RecoveryCounts {
  /** Of each kind with one run at work. */
  readonly kills: number;
  /** With ten runs at work. */
  readonly crowds: number;
  /** Of the first steps, and of the approvals. */
  readonly steps: number;
  /** 1: the transfer is a `local` tool. */
  readonly local: number;
}

export interface Times {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface ManagerReport {
  readonly kind: ManagerKind;
  /** SIGKILL to the next request of the one run. */
  readonly one: Times;
  /** The same for each of ten runs. */
  readonly ten: Times | undefined;
  /** Start of a worker process to its polling, from TypeScript sources with a prebuilt bundle. */
  readonly start: Times;
}

export interface RecoveryReport {
  readonly managers: readonly ManagerReport[];
  readonly firstStep: Times;
  readonly approvalToSend: Times;
  readonly violations: readonly string[];
}

const CROWD = 10;
const WORKER = new URL('./worker.ts', import.meta.url).pathname;

/** On the servers that `findTestServers` finds. Judges nothing by its time. */
export async function measureRecovery(
  counts: RecoveryCounts,
  onProgress: (message: string) => void,
): Promise<RecoveryReport> {
  const violations: string[] = [];
  const managers: ManagerReport[] = [];
  const tell = (what: string): void => onProgress(what);
  for (const kind of MANAGERS) {
    managers.push(
      await withSite(`recovery-${kind}`, (site) => runKills(site, kind, counts, violations, tell)),
    );
  }
  const quiet = await withSite('recovery-quiet', (site) => runSteps(site, counts, tell));
  return { managers, ...quiet, violations };
}

async function runKills(
  site: Site,
  kind: ManagerKind,
  { kills, crowds, local }: RecoveryCounts,
  violations: string[],
  tell: (what: string) => void,
): Promise<ManagerReport> {
  const logFile = join(site.folder, 'worker.log');
  const env = { ...site.env, [LOCAL_TOOL]: local === 1 ? 'yes' : 'no' };
  const manager = startManager(kind, { workerFile: WORKER, env, logFile });
  const starts: number[] = [];
  const killMany = async (count: number, runs: number): Promise<number[]> => {
    const times: number[] = [];
    for (let n = 1; n <= count; n += 1) {
      const name = `${kind}${runs}-${n}`;
      const kill = await killOnce(site, manager, name, runs);
      starts.push(manager.startMs());
      times.push(...kill.nextMs);
      violations.push(...kill.violations);
      tell(`${kind}, ${runs} at work, kill ${n}: ${kill.nextMs.map(Math.round).join(' ')} ms`);
    }
    return times;
  };
  try {
    const one = await killMany(kills, 1);
    const ten = await killMany(crowds, CROWD);
    return {
      kind,
      one: timesOf(one),
      ten: ten.length > 0 ? timesOf(ten) : undefined,
      start: timesOf(starts),
    };
  } finally {
    await manager.stop();
  }
}

async function runSteps(
  site: Site,
  { steps }: RecoveryCounts,
  tell: (what: string) => void,
): Promise<Pick<RecoveryReport, 'firstStep' | 'approvalToSend'>> {
  const logFile = join(site.folder, 'worker.log');
  const manager = startManager('spare', { workerFile: WORKER, env: site.env, logFile });
  try {
    await manager.untilSteady();
    const [first, send]: [number[], number[]] = [[], []];
    // The first ones load what a new process has not loaded yet.
    for (let n = -1; n <= steps; n += 1) {
      const times = [await firstStepMs(site, `first${n}`), await approvalToSendMs(site, `ask${n}`)];
      if (n < 1) continue;
      first.push(times[0] ?? 0);
      send.push(times[1] ?? 0);
    }
    tell(`${steps} first steps and approvals`);
    return { firstStep: timesOf(first), approvalToSend: timesOf(send) };
  } finally {
    await manager.stop();
  }
}

function timesOf(values: readonly number[]): Times {
  return {
    count: values.length,
    p50: Math.round(percentile(values, 0.5)),
    p99: Math.round(percentile(values, 0.99)),
    max: Math.round(percentile(values, 1)),
  };
}
