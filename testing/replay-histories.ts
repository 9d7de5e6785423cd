// replayHistories: the workflow code of today against histories of yesterday; a deploy that would break a run fails here.
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { explain, type NamedHistory, readHistory } from '../client/cli/replay-history.ts';
import { bundleOnce, type WorkflowBundle } from './test-worker.ts';

export interface ReplayOptions {
  /** Your own workflows: a module that also exports everything of `pawl/workflows`. @default Pawl's alone */
  readonly workflowsPath?: string;
  /** The bundle that you ship, instead. */
  readonly workflowBundle?: WorkflowBundle;
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
  { workflowsPath, workflowBundle }: ReplayOptions = {},
): Promise<readonly string[]> {
  const files = typeof source === 'string' ? await findHistories(source) : source;
  if (files.length === 0) {
    throw new Error(`There is no history to replay in ${String(source)} (.bin, .pb or .json)`);
  }
  const histories = await Promise.all(files.map((file) => readHistory(process.cwd(), file)));
  const bundle = workflowBundle ?? (await bundleOnce(workflowsPath));
  const failures = await replay(histories, bundle);
  if (failures.length > 0) throw new ReplayFailedError(failures, histories.length);
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

async function replay(
  histories: readonly NamedHistory[],
  workflowBundle: WorkflowBundle,
): Promise<readonly ReplayFailure[]> {
  const { Worker } = await loadQuietWorker();
  const failures: ReplayFailure[] = [];
  // One by one: a history that cannot even be read must not end the others' replay.
  for (const { name, history } of histories) {
    try {
      await Worker.runReplayHistory({ workflowBundle }, history, name);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      failures.push({ name, error });
    }
  }
  return failures;
}

/** The failures are the report: the SDK's own log would hide them. */
async function loadQuietWorker(): Promise<typeof import('@temporalio/worker')> {
  const worker = await import('@temporalio/worker');
  const { DefaultLogger, makeTelemetryFilterString, Runtime } = worker;
  const filter = makeTelemetryFilterString({ core: 'ERROR' });
  try {
    Runtime.install({
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { logging: { filter } },
    });
  } catch {
    // Installed before, by a worker of this process.
  }
  return worker;
}
