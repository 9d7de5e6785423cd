// What processes have used so far, as Linux counts it: CPU time with all ended children, and resident memory.
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second on every machine that Node runs on. */
const TICK_MS = 10;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuMs: number;
}

/** One line of `/proc/<pid>/stat`; the command name may hold spaces and brackets. */
export function parseStat(line: string): Stat {
  const [pid = ''] = line.split(' ', 1);
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  // utime, stime, and those of children that have ended and were waited for.
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid: Number(pid), parent: Number(fields[1]), cpuMs: ticks * TICK_MS };
}

function readStats(): readonly Stat[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      return [parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}

/** CPU milliseconds of each process so far, its descendants included; null where there is no `/proc`. */
export function readCpuMs<Name extends string>(
  pids: Readonly<Record<Name, readonly number[]>>,
): Readonly<Record<Name, number>> | null {
  if (process.platform !== 'linux') return null;
  const stats = readStats();
  const entries = Object.entries<readonly number[]>(pids).map(([name, roots]) => [
    name,
    roots.reduce((sum, root) => sum + cpuOfTree(stats, root), 0),
  ]);
  return Object.fromEntries(entries) as Record<Name, number>;
}

function cpuOfTree(stats: readonly Stat[], root: number): number {
  const own = stats.find(({ pid }) => pid === root)?.cpuMs ?? 0;
  const children = stats.filter(({ parent }) => parent === root);
  return children.reduce((sum, { pid }) => sum + cpuOfTree(stats, pid), own);
}

/** Resident memory in MB; null where there is no `/proc`. */
export function readRssMb(pid: number): number | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    return kib === undefined ? null : Number(kib) / 1_024;
  } catch {
    return null;
  }
}
