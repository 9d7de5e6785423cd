// Finds the development stack that runs in this folder or above it: `.pawl/stack.json`, written by `pawl dev`.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PawlError } from '../errors.ts';
import type { ClientOptions } from '../settings.ts';

export interface Stack {
  /** Where the file is. */
  readonly file: string;
  readonly temporalAddress: string;
  readonly databaseUrl: string;
  /** Under the role of workers. */
  readonly workerDatabaseUrl: string | undefined;
  readonly uiUrl: string | undefined;
  readonly taskQueue: string | undefined;
  readonly pid: number | undefined;
  /** False when the process that wrote the file is gone. */
  readonly isRunning: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Nearest file upward wins; PAWL_DATA_DIR names the folder outright, as it does for `pawl dev`. */
export function findStack(cwd: string, env: Environment): Stack | undefined {
  const set = env['PAWL_DATA_DIR'];
  if (set) return readStack(join(resolve(cwd, set), 'stack.json'));
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const stack = readStack(join(folder, '.pawl', 'stack.json'));
    if (stack || dirname(folder) === folder) return stack;
  }
}

/** A stack counts only where the environment names no server itself. */
export function findUsedStack(cwd: string, env: Environment): Stack | undefined {
  return env['TEMPORAL_ADDRESS'] || env['DATABASE_URL'] ? undefined : findStack(cwd, env);
}

/** What a stack says of the servers; its runs are started by `dev`, so that you may approve them. */
export function toClientOptions(stack: Stack): ClientOptions {
  const { temporalAddress, databaseUrl, taskQueue } = stack;
  return { temporalAddress, databaseUrl, taskQueue, requester: 'dev' };
}

function readStack(file: string): Stack | undefined {
  if (!existsSync(file)) return undefined;
  const content = parse(file);
  const databaseUrl = textOf(content['clientDatabaseUrl']) ?? textOf(content['databaseUrl']);
  const temporalAddress = textOf(content['temporalAddress']);
  if (!databaseUrl || !temporalAddress) {
    throw broken(file, 'temporalAddress or databaseUrl is missing');
  }
  const pid = typeof content['pid'] === 'number' ? content['pid'] : undefined;
  return {
    file,
    temporalAddress,
    databaseUrl,
    workerDatabaseUrl: textOf(content['databaseUrl']),
    uiUrl: textOf(content['uiUrl']),
    taskQueue: textOf(content['taskQueue']),
    pid,
    isRunning: pid === undefined || isAlive(pid),
  };
}

function parse(file: string): Record<string, unknown> {
  try {
    const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof content === 'object' && content !== null) return content as Record<string, unknown>;
  } catch (error) {
    throw broken(file, error instanceof Error ? error.message : String(error));
  }
  throw broken(file, 'it is not an object');
}

function broken(file: string, why: string): PawlError {
  const advice =
    'Start the stack again (`pawl dev`), remove the file, or set TEMPORAL_ADDRESS and DATABASE_URL.';
  return new PawlError('Stack.FileBroken', `${file} cannot be used: ${why}. ${advice}`);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It runs, as somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
