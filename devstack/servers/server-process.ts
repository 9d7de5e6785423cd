// A started or adopted server process: its log, its end, and the report of an end that nobody asked
// for.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

import { endProcess, identifyProcess, isRunning } from './process-identity.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { ServerError } from './server-error.ts';

/** An end that nobody asked for. */
export interface ServerDeath {
  /** One paragraph for people: what ended, how, the last lines of its log, and where the log is. */
  readonly message: string;
  readonly logPath: string;
}

interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server process of ours, whether this process started it or took it over from a killed one. */
export interface ServerProcess {
  readonly name: string;
  readonly identity: ProcessIdentity;
  readonly logPath: string;
  /** Where in the log file its own lines begin. */
  readonly logOffset: number;
  readonly ended: Promise<ProcessEnd>;
  readonly hasEnded: () => boolean;
}

const ROTATE_BYTES = 20 * 1024 * 1024;

function openLog(path: string): { log: number; logOffset: number } {
  mkdirSync(dirname(path), { recursive: true });
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > ROTATE_BYTES) renameSync(path, `${path}.1`);
  return { log: openSync(path, 'a', 0o644), logOffset: size > ROTATE_BYTES ? 0 : size };
}

/**
 * The last lines that this process wrote: an earlier one's in the same file would tell an old
 * story.
 */
export function lastLogLines({ logPath, logOffset }: ServerProcess, count = 8): string {
  const written = readFileSync(logPath).subarray(logOffset).toString('utf8').trimEnd();
  if (written === '') return '  (it wrote nothing)';
  const lines = written.split('\n').slice(-count);
  return lines.map((line) => `  ${line.slice(0, 400)}`).join('\n');
}

export interface StartOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logPath: string;
  readonly env?: Record<string, string | undefined>;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/**
 * Starts a server in a session of its own, with its output in the log file. It keeps this process
 * alive until it ends.
 */
export async function startProcess(options: StartOptions): Promise<ServerProcess> {
  const { name, command, args, logPath, env, uid, gid } = options;
  const { log, logOffset } = openLog(logPath);
  const child = spawn(command, args, {
    stdio: ['ignore', log, log], // files, not pipes: an orphan must be able to go on writing
    detached: true, // Ctrl-C is ours to handle: we stop it in order
    cwd: '/',
    ...(env === undefined ? {} : { env: env as NodeJS.ProcessEnv }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  closeSync(log);
  let end: ProcessEnd | undefined;
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve((end = { exitCode, signal })));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      const message = `${name} cannot be started: ${command}: ${error.message}`;
      reject(new ServerError('cannot-start', message));
    });
  });
  const pid = child.pid ?? 0;
  const identity = identifyProcess(pid) ?? { pid, startMark: 'ended' };
  return { name, identity, logPath, logOffset, ended, hasEnded: () => end !== undefined };
}

/** Takes over a process that another one started. Its end is noticed by looking twice a second. */
export function adoptProcess(
  name: string,
  identity: ProcessIdentity,
  logPath: string,
): ServerProcess {
  const ended = new Promise<ProcessEnd>((resolve) => {
    const timer = setInterval(() => {
      if (isRunning(identity)) return;
      clearInterval(timer);
      resolve({ exitCode: null, signal: null });
    }, 500);
  });
  return { name, identity, logPath, logOffset: 0, ended, hasEnded: () => !isRunning(identity) };
}

function describeEnd({ exitCode, signal }: ProcessEnd): string {
  if (signal !== null) return `was ended by ${signal}`;
  return exitCode === null ? 'ended' : `ended with exit code ${exitCode}`;
}

/** What a process that ended says about it: how, the last lines of its log, the log's path. */
export function describeDeath(server: ServerProcess, end: ProcessEnd): string {
  const { name, identity, logPath } = server;
  const lines = lastLogLines(server);
  return `${name} (process ${identity.pid}) ${describeEnd(end)}. The end of its log ${logPath}:\n${lines}`;
}

/** Stops a server on request and tells apart the ends that were requested. */
export interface ServerWatch {
  /** Resolves when the server ends without `stop`; stays pending otherwise. */
  readonly died: Promise<ServerDeath>;
  /** Ends the server: `signal`, then SIGKILL after `graceMs`. Safe to call twice. */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<void>;
}

export function watchServer(server: ServerProcess): ServerWatch {
  let isStopping = false;
  const died = new Promise<ServerDeath>((resolve) => {
    void server.ended.then((end) => {
      if (!isStopping) resolve({ message: describeDeath(server, end), logPath: server.logPath });
    });
  });
  const stop = async (signal: NodeJS.Signals, graceMs: number): Promise<void> => {
    isStopping = true;
    await endProcess(server.identity, { signal, graceMs });
  };
  return { died, stop };
}
