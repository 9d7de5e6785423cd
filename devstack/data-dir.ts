// The data directory of a development stack: where it is, and which processes it started, so that
// none is forgotten.
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import type { Environment } from './servers/executables.ts';
import { acquireLock } from './servers/pid-lock.ts';
import type { PidLock } from './servers/pid-lock.ts';
import { endProcess, identifyProcess, isRunning } from './servers/process-identity.ts';
import type { ProcessIdentity } from './servers/process-identity.ts';

/** A child process as it is written down, with what a later start needs to reach it. */
export interface RecordedProcess extends ProcessIdentity {
  readonly v: 1;
  /** `temporal`, `postgres`, `worker-1`: the file name, one record per name. */
  readonly name: string;
  /** Addresses and settings. The file is readable by its owner only. */
  readonly details: Readonly<Record<string, string | number>>;
  /** How it wants to be ended. */
  readonly stopSignal: NodeJS.Signals;
}

/** `PAWL_DATA_DIR`, else `.pawl` in the current project. */
export function resolveDataDir(env: Environment = process.env, cwd = process.cwd()): string {
  return resolve(cwd, env['PAWL_DATA_DIR'] || '.pawl');
}

/** Creates the directory when it is missing; git ignores what is in it. */
export function prepareDataDir(dataDir: string): void {
  mkdirSync(join(dataDir, 'processes'), { recursive: true });
  writeFileSync(join(dataDir, '.gitignore'), '*\n');
}

/** Takes the directory for this process. Throws ServerError `locked` when a live process has it. */
export function lockDataDir(
  dataDir: string,
  purpose: string,
  file = 'pawl.lock',
): Promise<PidLock> {
  prepareDataDir(dataDir);
  return acquireLock(join(dataDir, file), {
    purpose,
    advice: 'Stop it first, or set PAWL_DATA_DIR to another folder for a second stack.',
  });
}

const recordPath = (dataDir: string, name: string): string =>
  join(dataDir, 'processes', `${basename(name)}.json`);

/**
 * Writes a child process down, at once after its start: what a SIGKILL leaves behind is found by
 * this record.
 */
export function recordProcess(
  dataDir: string,
  name: string,
  identity: ProcessIdentity,
  {
    details = {},
    stopSignal = 'SIGTERM',
  }: Partial<Pick<RecordedProcess, 'details' | 'stopSignal'>> = {},
): void {
  const { pid, startMark } = identity;
  const record: RecordedProcess = { v: 1, name, pid, startMark, details, stopSignal };
  const path = recordPath(dataDir, name);
  prepareDataDir(dataDir);
  writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path); // in one step: no reader sees half a record
}

/** Forgets a child process that has ended. */
export function forgetProcess(dataDir: string, name: string): void {
  rmSync(recordPath(dataDir, name), { force: true });
}

function readRecord(path: string): RecordedProcess | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RecordedProcess;
  } catch {
    return undefined;
  }
}

/**
 * The process of this name that still runs, if one does; a record of a process that is gone is
 * removed.
 */
export function findRecordedProcess(dataDir: string, name: string): RecordedProcess | undefined {
  const record = readRecord(recordPath(dataDir, name));
  if (record !== undefined && isRunning(record)) return record;
  forgetProcess(dataDir, name);
  return undefined;
}

/**
 * Every recorded process that still runs. Changes nothing, takes no lock: for `pawl doctor` and the
 * like.
 */
export function readRunningProcesses(dataDir: string): RecordedProcess[] {
  let names: string[];
  try {
    names = readdirSync(join(dataDir, 'processes')).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  return names
    .map((name) => readRecord(join(dataDir, 'processes', name)))
    .filter((record) => record !== undefined)
    .filter((record) => isRunning(record));
}

/**
 * Ends the orphans of a killed start, except those to be adopted. Only recorded processes, checked
 * by start time.
 */
export async function endOrphans(
  dataDir: string,
  { except = [] }: { except?: readonly string[] } = {},
): Promise<string[]> {
  const orphans = readRunningProcesses(dataDir).filter(({ name }) => !except.includes(name));
  await Promise.all(orphans.map((orphan) => endProcess(orphan, { signal: orphan.stopSignal })));
  for (const { name } of orphans) forgetProcess(dataDir, name);
  return orphans.map(({ name }) => name);
}

/** Records a child by its pid: for children that this module did not start. */
export function recordChild(dataDir: string, name: string, pid: number): void {
  const identity = identifyProcess(pid);
  if (identity !== undefined) recordProcess(dataDir, name, identity);
}
