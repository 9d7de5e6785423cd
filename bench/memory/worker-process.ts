// The process of the worker whose memory is measured: started, asked what is left of its memory, told to leak.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { CleanUps } from '../../testing/clean-ups.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { until } from '../../testing/until.ts';

/** Of each thread of the worker: what is left of 512 MB is for native code, buffers and code. */
export const HEAP_MB = 192;

/** What the worker is told: the first by its probe, the second by itself. */
export type ToWorker = { readonly kind: 'collect' } | { readonly kind: 'leak' };

/** The probe's answer: what is left in the heaps of all threads, and in the buffers that hang on them. */
interface Collected {
  readonly kind: 'collected';
  readonly heapMb: number;
}

/** Memory behind a collection of garbage. */
export interface MemoryLook {
  /** The heaps of all threads, and the buffers that hang on them. */
  readonly heapMb: number;
  /** What Linux has the process resident with. */
  readonly residentMb: number;
  /** The most that it ever was resident with. */
  readonly peakMb: number;
}

export interface MeasuredWorker {
  look(): Promise<MemoryLook>;
  /** From now on it keeps something of each tool call. */
  leak(): void;
  /** Rejects when the process ends by itself. */
  readonly died: Promise<never>;
}

export async function startMeasuredWorker(
  env: Readonly<Record<string, string>>,
  cleanUps: CleanUps,
): Promise<MeasuredWorker> {
  const child = spawnWorker(env);
  cleanUps.add(() => kill(child));
  const died = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the worker ended (${String(signal ?? code)}): see what it printed`);
  });
  died.catch(() => undefined); // it is heard by whoever waits for the worker
  const tell = (message: ToWorker): void => void child.send(message);
  let isReady = false;
  child.stdout?.on('data', () => (isReady = true));
  await Promise.race([until(() => isReady, { what: 'the worker', timeoutMs: 120_000 }), died]);
  return {
    died,
    leak: () => tell({ kind: 'leak' }),
    async look() {
      const answered = once(child, 'message') as Promise<[Collected]>;
      tell({ kind: 'collect' });
      const [{ heapMb }] = await Promise.race([answered, died]);
      return { heapMb, ...(await readResident(child.pid ?? 0)) };
    },
  };
}

function spawnWorker(env: Readonly<Record<string, string>>): ChildProcess {
  const [file, probe] = ['worker.ts', 'probe.mjs'].map((name) => new URL(name, import.meta.url));
  const flags = [`--max-old-space-size=${HEAP_MB}`, '--max-semi-space-size=8', '--expose-gc'];
  const { pathname } = file as URL;
  const args = [...flags, ...runtimeArguments(pathname), '--import', (probe as URL).href, pathname];
  return spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
}

async function kill(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, 'exit');
  if (worker.kill('SIGKILL')) await gone;
}

async function readResident(pid: number): Promise<Pick<MemoryLook, 'residentMb' | 'peakMb'>> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const read = (name: string): number => {
    const [, kb] = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status) ?? [];
    if (kb === undefined) throw new Error('the worker is gone, or this system has no /proc');
    return Number(kb) / 1_024;
  };
  return { residentMb: read('VmRSS'), peakMb: read('VmHWM') };
}
