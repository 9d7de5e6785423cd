// Who starts the next worker when one has died: a plain outside manager, or `pawl worker` without and with a warm spare.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { until } from '../../testing/until.ts';

export const MANAGERS = ['outside', 'cold', 'spare'] as const;
export type ManagerKind = (typeof MANAGERS)[number];

export interface ManagerOptions {
  readonly workerFile: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
}

export interface Manager {
  /** Resolves when a worker polls and, with a spare, when that one is ready: the worker's process id. */
  untilSteady(): Promise<number>;
  /** From the start of the last process that was started to its polling, or to its being a warm spare; in milliseconds. */
  startMs(): number;
  stop(): Promise<void>;
}

const CLI = new URL('../../client/cli/main.ts', import.meta.url).pathname;

export function startManager(kind: ManagerKind, options: ManagerOptions): Manager {
  return kind === 'outside' ? startOutside(options) : startSupervisor(kind, options);
}

/** As systemd or Kubernetes would without a back-off: a process that has ended is started again at once. */
function startOutside({ workerFile, env, logFile }: ManagerOptions): Manager {
  const log = createWriteStream(logFile, { flags: 'a' });
  let child: ChildProcess;
  let steadyPid: number | undefined;
  let startMs = 0;
  let isStopping = false;
  const start = (): void => {
    const startedAtMs = performance.now();
    child = spawnNode([workerFile], env);
    child.stderr?.pipe(log, { end: false });
    readLines(child, (line) => {
      if (line !== 'ready') return;
      steadyPid = child.pid;
      startMs = performance.now() - startedAtMs;
    });
    child.once('exit', () => {
      steadyPid = undefined;
      if (!isStopping) start();
    });
  };
  start();
  return {
    untilSteady: () => until(() => steadyPid, { what: `a worker (see ${logFile})` }),
    startMs: () => startMs,
    async stop() {
      isStopping = true;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

interface Line {
  readonly event: string;
  readonly pid: number;
  readonly afterStartMs: number;
  readonly readyMs: number;
}

function startSupervisor(
  kind: 'cold' | 'spare',
  { workerFile, env, logFile }: ManagerOptions,
): Manager {
  const spares = kind === 'spare' ? '1' : '0';
  const child = spawnNode([CLI, 'worker', workerFile, '--spares', spares, '--json'], env);
  const log = createWriteStream(logFile, { flags: 'a' });
  child.stderr?.pipe(log, { end: false });
  let pollingPid: number | undefined;
  let hasSpare = spares === '0';
  let startMs = 0;
  readLines(child, (text) => {
    log.write(`${text}\n`);
    const line = JSON.parse(text) as Line;
    if (line.event === 'polling') {
      pollingPid = line.pid;
      if (spares === '0') startMs = line.afterStartMs;
    }
    if (line.event === 'died') {
      if (line.pid === pollingPid) pollingPid = undefined;
      hasSpare = spares === '0';
    }
    if (line.event === 'spare') {
      hasSpare = true;
      startMs = line.readyMs;
    }
  });
  return {
    untilSteady: () => until(() => hasSpare && pollingPid, { what: `a worker (see ${logFile})` }),
    startMs: () => startMs,
    async stop() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

function spawnNode(words: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const [file = ''] = words;
  return spawn(process.execPath, [...runtimeArguments(file), ...words], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  if (child.stdout) createInterface({ input: child.stdout }).on('line', onLine);
}
