// One supervised worker process: started, told to run or to leave, and believed dead only when it has really ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { type ReadyWorker, SUPERVISED, type ToWorker, toFromWorker } from './messages.ts';

export interface ChildOptions {
  /** The user's worker module. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly sharedFolder: string;
  /** Its module has made a worker, which waits for the word; called for each one. */
  readonly onReady: (child: WorkerChild) => void;
  readonly onPolling: (child: WorkerChild) => void;
  /** Called once, after the operating system has said that the process is gone. */
  readonly onExit: (child: WorkerChild, end: ChildEnd) => void;
}

/** How a process ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started at all. */
  readonly error?: string;
}

export interface WorkerChild {
  readonly pid: number;
  /** The workers in it, as far as they are ready. */
  readonly workers: readonly ReadyWorker[];
  readonly startedAtMs: number;
  /** When it was told to run; undefined for a spare. */
  readonly toldAtMs: number | undefined;
  /** Polls from now on. */
  run(): void;
  /** SIGTERM for one that runs; a spare is told to leave. */
  stop(): void;
  kill(): void;
}

/** Starts the process; never throws: what goes wrong is an end. */
export function startWorkerChild(options: ChildOptions): WorkerChild {
  const { file, env, sharedFolder } = options;
  const process_ = spawn(process.execPath, [...argumentsFor(file), file], {
    env: { ...env, [SUPERVISED]: sharedFolder },
    // What the module prints is for people; the supervisor's own lines alone are on standard output.
    stdio: ['ignore', 2, 2, 'ipc'],
    // Ctrl-C reaches the supervisor alone, which ends its workers in order.
    detached: true,
  });
  const workers: ReadyWorker[] = [];
  let toldAtMs: number | undefined;
  const child: WorkerChild = {
    pid: process_.pid ?? 0,
    workers,
    startedAtMs: performance.now(),
    get toldAtMs() {
      return toldAtMs;
    },
    run() {
      toldAtMs = performance.now();
      say(process_, { kind: 'run' });
    },
    stop() {
      if (toldAtMs === undefined && workers.length > 0) say(process_, { kind: 'leave' });
      else process_.kill('SIGTERM');
    },
    kill: () => void process_.kill('SIGKILL'),
  };
  process_.on('message', (message) => {
    const said = toFromWorker(message);
    if (said?.kind === 'polling') options.onPolling(child);
    if (said?.kind !== 'ready') return;
    workers.push(said.worker);
    options.onReady(child);
  });
  process_.once('error', (error) => {
    if (process_.pid === undefined) {
      options.onExit(child, { code: null, signal: null, error: error.message });
    }
  });
  process_.once('exit', (code, signal) => options.onExit(child, { code, signal }));
  return child;
}

/** A process that has just ended is not told: its exit comes next. */
function say(to: ChildProcess, message: ToWorker): void {
  if (to.connected) to.send(message, () => undefined);
}

/** TypeScript runs through tsx where the project has it, else as this Node can; in a checkout on Pawl's own sources. */
function argumentsFor(file: string): string[] {
  const conditions = import.meta.url.endsWith('.ts') ? ['--conditions=pawl-source'] : [];
  if (!/\.[cm]?ts$/.test(file)) return conditions;
  try {
    const tsx = createRequire(file).resolve('tsx');
    return [...conditions, '--import', pathToFileURL(tsx).href];
  } catch {
    return conditions;
  }
}
