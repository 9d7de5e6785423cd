// Finding programs on the PATH and running a short one to its end.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Is this a file that we may execute? */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The first executable of this name on `env.PATH`. */
export function findOnPath(name: string, env: Environment): string | undefined {
  const directories = (env['PATH'] ?? '').split(delimiter).filter((entry) => entry !== '');
  return directories.map((entry) => join(entry, name)).find(isExecutable);
}

export interface RunOptions {
  readonly timeoutMs: number;
  readonly env?: Environment;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * Put it in a process group of its own and kill the whole group; else Ctrl-C reaches it by
   * itself.
   */
  readonly ownGroup?: boolean;
}

export interface RunResult {
  /** 0 is success; undefined when it did not start, timed out or was killed. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it did not end by itself, if so. */
  readonly failure?: string;
}

const KEPT_CHARS = 64_000;

function stopChild(child: ChildProcess, ownGroup: boolean): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    if (ownGroup) process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGINT'); // lets a compiler remove its temporary files
  } catch {
    // it ended by itself meanwhile
  }
}

/**
 * Runs a program to its end; it is stopped at the time limit, on abort and when this process exits.
 * Never throws.
 */
export function runToEnd(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const { timeoutMs, signal, ownGroup = false, ...spawnOptions } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      ...(spawnOptions as { env?: NodeJS.ProcessEnv }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: ownGroup,
    });
    const output = { stdout: '', stderr: '' };
    let failure: string | undefined;
    const end = (reason: string): void => {
      failure ??= reason;
      stopChild(child, ownGroup);
    };
    const timer = setTimeout(() => end(`no end after ${timeoutMs / 1000} s`), timeoutMs);
    const onAbort = (): void => end('interrupted');
    const onExit = (): void => stopChild(child, ownGroup);
    const finish = (exitCode: number | undefined): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      process.removeListener('exit', onExit);
      resolve({ exitCode, ...output, ...(failure === undefined ? {} : { failure }) });
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    process.once('exit', onExit);
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (chunk: string) => {
        output[stream] = (output[stream] + chunk).slice(-KEPT_CHARS);
      });
    }
    child.once('error', (error) => {
      failure ??= error.message;
      finish(undefined);
    });
    child.once('close', (code) => finish(failure === undefined ? (code ?? undefined) : undefined));
    if (signal?.aborted === true) onAbort();
  });
}

/** What a failed run says for itself: the reason, or the last line it wrote. */
export function whyItFailed({ failure, exitCode, stderr, stdout }: RunResult): string {
  if (failure !== undefined) return failure;
  const lastLine = `${stdout}\n${stderr}`.trim().split('\n').at(-1)?.trim() ?? '';
  return `exit code ${exitCode ?? 'none'}${lastLine === '' ? '' : `: ${lastLine.slice(0, 300)}`}`;
}
