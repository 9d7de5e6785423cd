// Who a process is: its pid and the moment it started, so that a reused pid is never mistaken for
// it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * A pid alone is reused by the kernel; together with the start mark it names one process for ever.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startMark: string;
}

const readText = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

let bootId: string | undefined;

function linuxStartMark(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command name may hold spaces and brackets: the fields begin after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  if (startTicks === undefined || state === 'Z' || state === 'X') return undefined;
  // Ticks count from the boot: without the boot's id a restart of the machine could make them
  // equal.
  bootId ??= readText('/proc/sys/kernel/random/boot_id')?.slice(0, 8) ?? 'boot';
  return `${bootId}:${startTicks}`;
}

function psStartMark(pid: number): string | undefined {
  try {
    const args = ['-o', 'lstart=', '-p', String(pid)];
    return execFileSync('ps', args, { encoding: 'utf8', stdio: 'pipe' }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/**
 * The identity of a running process, or undefined when no such process runs (a zombie does not).
 */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startMark = process.platform === 'linux' ? linuxStartMark(pid) : psStartMark(pid);
  return startMark === undefined ? undefined : { pid, startMark };
}

/** Does exactly this process still run? */
export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startMark === identity.startMark;
}

function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits until the process has ended; false when `timeoutMs` passed first. */
export async function waitForEnd(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  while (isRunning(identity)) {
    if (Date.now() > deadlineMs) return false;
    await delay(20);
  }
  return true;
}

/**
 * Ends exactly this process: `signal` first, SIGKILL after `graceMs`. A process that is gone is
 * fine.
 */
export async function endProcess(
  identity: ProcessIdentity,
  { signal = 'SIGTERM', graceMs = 10_000 }: { signal?: NodeJS.Signals; graceMs?: number } = {},
): Promise<'ended' | 'killed'> {
  signalProcess(identity, signal);
  if (await waitForEnd(identity, graceMs)) return 'ended';
  signalProcess(identity, 'SIGKILL');
  await waitForEnd(identity, 5000);
  return 'killed';
}
