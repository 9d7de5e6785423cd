// Replays recorded histories against this build's workflow code: a deploy that would break a run is seen here.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PawlError } from '../errors.ts';

/** A history with the name under which it is reported. */
export interface NamedHistory {
  readonly name: string;
  readonly history: unknown;
}

/** What became of one history. */
export interface Replay {
  readonly name: string;
  readonly events: number;
  readonly status: 'ok' | 'nondeterministic' | 'failed';
  readonly message?: string;
}

/** Reads a history from a file: protobuf for `.bin` and `.pb`, JSON otherwise. Throws PawlError `History.*`. */
export async function readHistory(cwd: string, file: string): Promise<NamedHistory> {
  const path = resolve(cwd, file);
  const bytes = await readFile(path).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new PawlError('History.Unreadable', `Cannot read the history ${path}: ${why}`);
  });
  const isBinary = /\.(bin|pb)$/.test(path);
  const history = isBinary
    ? await decodeBinary(path, bytes)
    : decodeJson(path, bytes.toString('utf8'));
  if (countEvents(history) > 0) return { name: basename(file), history };
  throw new PawlError('History.Empty', `${path} holds no history events.`);
}

async function decodeBinary(path: string, bytes: Buffer): Promise<unknown> {
  const { temporal } = await loadProto();
  try {
    return temporal.api.history.v1.History.decode(bytes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PawlError('History.Malformed', `${path} is not a history as binary protobuf: ${why}`);
  }
}

function decodeJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PawlError(
      'History.Malformed',
      `${path} is not JSON (${why}). A binary history must be named .bin or .pb.`,
    );
  }
}

function countEvents(history: unknown): number {
  if (typeof history !== 'object' || history === null || !('events' in history)) return 0;
  return Array.isArray(history.events) ? history.events.length : 0;
}

/** The workflow code to replay against: `--workflows`, else the shipped `pawl/workflows`. Throws `Workflows.Missing`. */
export function resolveWorkflowsPath(cwd: string, path: string | undefined): string {
  if (path === undefined) return fileURLToPath(import.meta.resolve('pawl/workflows'));
  const resolved = resolve(cwd, path);
  if (existsSync(resolved)) return resolved;
  throw new PawlError('Workflows.Missing', `--workflows: there is no ${resolved}.`);
}

/** Replays one history; nondeterminism is an answer, not an error. */
export async function replayHistory(
  { name, history }: NamedHistory,
  workflowsPath: string,
): Promise<Replay> {
  const { Worker } = await loadWorker();
  const events = countEvents(history);
  try {
    await Worker.runReplayHistory({ workflowsPath }, history, name);
    return { name, events, status: 'ok' };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isDeterminism = error.name === 'DeterminismViolationError';
    return {
      name,
      events,
      status: isDeterminism ? 'nondeterministic' : 'failed',
      message: explain(error),
    };
  }
}

/** The one message of a replay that explains nothing by itself. */
export function explain(error: Error): string {
  if (!error.message.includes('type must be a Type')) return error.message;
  return (
    `${error.message}. Several copies of protobufjs are installed, so Temporal cannot read histories as JSON. ` +
    'Add "protobufjs": "^8.7.1" to your package.json and run `npm dedupe`, or replay a binary history (.bin) or a run key instead.'
  );
}

async function loadWorker(): Promise<typeof import('@temporalio/worker')> {
  const worker = await import('@temporalio/worker').catch(toMissing('@temporalio/worker'));
  const { DefaultLogger, Runtime } = worker;
  try {
    // The lines of a replay are the report; the SDK's own log would hide them.
    Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });
  } catch {
    // Installed before, by an earlier replay of this process.
  }
  return worker;
}

async function loadProto(): Promise<typeof import('@temporalio/proto')> {
  const proto = await import('@temporalio/proto').catch(toMissing('@temporalio/proto'));
  // A CommonJS package: Node finds its names behind `default` only.
  return proto.default;
}

function toMissing(name: string): (error: unknown) => never {
  return (error) => {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw new PawlError('Package.Missing', `Replaying needs ${name}: npm install ${name}`);
  };
}
