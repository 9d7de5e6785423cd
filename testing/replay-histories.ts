// replayHistories: the workflow code of today against histories of yesterday; a deploy that would break a run fails here.
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { explain } from '../client/cli/replay-history.ts';
import { readHistoryFile } from '../client/replay/history-file.ts';
import { replayAll } from '../client/replay/replay-all.ts';
import type { Replayed } from '../client/replay/replayer.ts';
import { bundleOnce, type WorkflowBundle } from './test-worker.ts';

export interface ReplayOptions {
  /** Your own workflows: a module that also exports everything of `pawl/workflows`. @default Pawl's alone */
  readonly workflowsPath?: string;
  /** The bundle that you ship, instead. */
  readonly workflowBundle?: WorkflowBundle;
  /** Processes side by side; 1 is this one. @default as many as there are cores, this one alone for a handful */
  readonly processes?: number;
}

/** One history that does not replay. */
export interface ReplayFailure {
  readonly name: string;
  /** `DeterminismViolationError`: the code no longer commands what the history holds. */
  readonly error: Error;
}

/** At least one history does not replay; the message names each with its cause. */
export class ReplayFailedError extends Error {
  readonly failures: readonly ReplayFailure[];
  constructor(failures: readonly ReplayFailure[], replayed: number) {
    const lines = failures.map(({ name, error }) => `  ${name}: ${error.name}: ${explain(error)}`);
    super(`${failures.length} of ${replayed} histories do not replay:\n${lines.join('\n')}`);
    this.name = 'ReplayFailedError';
    this.failures = failures;
  }
}

/**
 * Replays every history of a folder (`.bin` and `.pb`: binary protobuf, as `saveHistory` writes; `.json`), or the files
 * given, and returns their names. No activity runs and nothing is sent. Throws a `ReplayFailedError` that explains each
 * failure, and an `Error` when there is nothing to replay.
 *
 * JSON histories may fail with `TypeError: type must be a Type`: several copies of protobufjs are installed, and the SDK
 * converts with one what another has declared. Keep histories as `.bin`; for JSON of others add `protobufjs@^8.7.1` to
 * your package.json and run `npm dedupe`.
 */
export async function replayHistories(
  source: string | readonly string[],
  { workflowsPath, workflowBundle, processes }: ReplayOptions = {},
): Promise<readonly string[]> {
  const files = typeof source === 'string' ? await findHistories(source) : source;
  if (files.length === 0) {
    throw new Error(`There is no history to replay in ${String(source)} (.bin, .pb or .json)`);
  }
  const bundle = workflowBundle ?? (await bundleOnce(workflowsPath));
  const sources = files.map((file) => () => readHistoryFile(process.cwd(), file));
  const replayed = await replayAll(sources, { bundle, processes });
  const failures = replayed.flatMap(toFailure);
  if (failures.length > 0) throw new ReplayFailedError(failures, replayed.length);
  return files.map((file) => basename(file));
}

async function findHistories(folderOrFile: string): Promise<readonly string[]> {
  if ((await stat(folderOrFile)).isFile()) return [folderOrFile];
  const names = await readdir(folderOrFile);
  return names
    .filter((name) => /\.(bin|pb|json)$/.test(name))
    .sort()
    .map((name) => join(folderOrFile, name));
}

function toFailure({ name, error }: Replayed): readonly ReplayFailure[] {
  if (!error) return [];
  return [{ name, error: Object.assign(new Error(error.message), { name: error.name }) }];
}
