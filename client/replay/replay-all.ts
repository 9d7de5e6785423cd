// Replays many histories from one bundle, on all cores.
import { availableParallelism } from 'node:os';
import { bundleSettings } from '../../workers/bundle-settings.ts';
import { decodeHistory, type HistoryFile } from './history-file.ts';
import { loadPackage } from './load-package.ts';
import { pinFor } from './pin.ts';
import { replayInProcess, type ReplayWork } from './replay-processes.ts';
import { type Bundle, createReplayer, type Replayed } from './replayer.ts';

/** Fewer than these for each process are not worth its start. */
const HISTORIES_A_PROCESS = 10;

export interface ReplayAllOptions {
  readonly bundle: Bundle;
  /** @default as many as there are cores, and this process alone for a handful of histories */
  readonly processes?: number | undefined;
  /** Told of each history as it is done, in no order. */
  readonly onReplayed?: ((replayed: Replayed) => void) | undefined;
}

/** A history that is read when its turn comes. */
export type HistorySource = () => Promise<HistoryFile>;

/**
 * What became of each, in the order given; a history that does not replay is an answer. Throws PawlError `History.*` for
 * one that cannot be read.
 */
export async function replayAll(
  sources: readonly HistorySource[],
  { bundle, processes = processesFor(sources.length), onReplayed }: ReplayAllOptions,
): Promise<readonly Replayed[]> {
  const done: Replayed[] = [];
  const places = new Map<HistoryFile, number>();
  let at = 0;
  const next = async (): Promise<HistoryFile | undefined> => {
    const place = at;
    const source = sources[place];
    at += 1;
    if (!source) return undefined;
    const file = await source();
    places.set(file, place);
    return file;
  };
  const note = (file: HistoryFile, replayed: Replayed): void => {
    done[places.get(file) ?? 0] = replayed;
    places.delete(file);
    onReplayed?.(replayed);
  };
  const work = { bundle, next, onReplayed: note };
  try {
    if (processes > 1) await replayAside(work, processes);
    else await replayHere(work);
  } finally {
    // One has failed: the others stop, too.
    at = sources.length;
  }
  return done;
}

/** How many processes are worth it for so many histories; 1 is this process. */
export function processesFor(histories: number, cores: number = availableParallelism()): number {
  return Math.max(1, Math.min(cores, Math.floor(histories / HISTORIES_A_PROCESS)));
}

async function replayAside(work: ReplayWork, processes: number): Promise<void> {
  const pins = Array.from({ length: processes }, (_, place) => pinFor(place, processes));
  await Promise.all(pins.map((pin) => replayInProcess(work, pin)));
}

async function replayHere({ bundle, next, onReplayed }: ReplayWork): Promise<void> {
  const replayer = await createReplayer(bundle);
  try {
    for (let file = await next(); file; file = await next()) {
      onReplayed(file, await replayer.replay(await decodeHistory(file)));
    }
  } finally {
    await replayer.close();
  }
}

/** Bundles workflow code for a replay. Throws PawlError `Package.Missing`. */
export async function bundleForReplay(workflowsPath: string): Promise<Bundle> {
  const { bundleWorkflowCode, DefaultLogger } = await loadPackage(
    '@temporalio/worker',
    () => import('@temporalio/worker'),
  );
  const logger = new DefaultLogger('WARN');
  return bundleWorkflowCode({ ...bundleSettings(workflowsPath), logger });
}
