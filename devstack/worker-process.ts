// A worker as a process of its own: started, awaited until it polls, ended or really killed by its id.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { forgetProcess, recordChild } from './data-dir.ts';
import { runtimeArguments } from './runtime-arguments.ts';

export interface WorkerProcessOptions {
  /** The worker's module; prints `ready` when it polls. */
  readonly file: string;
  readonly name: string;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
}

export interface WorkerProcess {
  readonly pid: number;
  readonly name: string;
  /** Resolves when the process is gone, however it went. */
  readonly gone: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** SIGTERM, then waits: what is on the wire is finished and recorded. */
  stop(): Promise<void>;
  /** SIGKILL: the process does nothing more. */
  kill(): Promise<void>;
}

/** Starts a worker and resolves when it says `ready`; rejects with its log's last lines. */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const { file, name, dataDir, env, logFile } = options;
  const log = createWriteStream(logFile, { flags: 'a' });
  const child = spawn(process.execPath, [...runtimeArguments(file), file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gone = goneOf(child, () => forgetProcess(dataDir, name));
  if (child.pid) recordChild(dataDir, name, child.pid);
  const tail = keepTail(child, log);
  await untilReady(child, name, logFile, tail);
  return {
    pid: child.pid ?? 0,
    name,
    gone,
    stop: () => end(child, gone, 'SIGTERM'),
    kill: () => end(child, gone, 'SIGKILL'),
  };
}

function goneOf(
  child: ChildProcess,
  then: () => void,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return once(child, 'exit').then(([code, signal]: unknown[]) => {
    then();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
}

const TAIL_LINES = 20;

function keepTail(child: ChildProcess, log: WriteStream): string[] {
  const tail: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => {
    log.write(chunk);
    tail.push(...chunk.toString('utf8').trimEnd().split('\n'));
    tail.splice(0, Math.max(0, tail.length - TAIL_LINES));
  });
  return tail;
}

async function untilReady(
  child: ChildProcess,
  name: string,
  logFile: string,
  tail: readonly string[],
): Promise<void> {
  if (!child.stdout) throw new Error(`${name} has no standard output`);
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise<boolean>((resolve) => {
    lines.on('line', (line) => {
      if (line === 'ready') resolve(true);
    });
    child.once('exit', () => resolve(false));
    child.once('error', () => resolve(false));
  });
  if (await ready) return;
  throw new Error(`${name} did not start. Its last words (all in ${logFile}):\n${tail.join('\n')}`);
}

async function end(
  child: ChildProcess,
  gone: Promise<unknown>,
  signal: NodeJS.Signals,
): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  await gone;
}
