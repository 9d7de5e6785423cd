// What the processes that this one has started have used of the processors, by kind of thread. Linux only.
import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds of processor time by kind of thread; nothing where there is no /proc. */
export type ThreadCpu = Readonly<Record<string, number>>;

/** A clock tick of /proc, in milliseconds: 100 a second on every Linux that Node runs on. */
const TICK_MS = 10;

/** What a thread calls itself, and what it is. The first thread of a process is its `main`. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^tokio/, 'core'],
  [/^workflow-proc/, 'core'],
  [/^(node|V8Worker|libuv)/, 'compiler and collector'],
];

/** Of every child that lives; read it twice and subtract. */
export function readChildrenCpu(): ThreadCpu {
  const sum: Record<string, number> = {};
  for (const { kind, ms } of childPids().flatMap(threadsOf)) sum[kind] = (sum[kind] ?? 0) + ms;
  return sum;
}

/** For each of `count` things done between two readings. */
export function cpuEach(before: ThreadCpu, after: ThreadCpu, count: number): ThreadCpu {
  const entries = Object.entries(after).map(([kind, ms]) => [kind, ms - (before[kind] ?? 0)]);
  return Object.fromEntries(entries.map(([kind, ms]) => [kind, Number(ms) / count] as const));
}

function childPids(): readonly string[] {
  return readText(`/proc/self/task/${process.pid}/children`).split(' ').filter(Boolean);
}

function threadsOf(pid: string): readonly { kind: string; ms: number }[] {
  return list(`/proc/${pid}/task`).flatMap((thread) => {
    // The name is in brackets and may hold anything; user and system time are the 12th and 13th field behind it.
    const parts = /\((.*)\) (.*)/s.exec(readText(`/proc/${pid}/task/${thread}/stat`));
    if (!parts) return [];
    const [, name = '', rest = ''] = parts;
    const fields = rest.split(' ');
    const ms = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    const kind = thread === pid ? 'main' : KINDS.find(([pattern]) => pattern.test(name))?.[1];
    return [{ kind: kind ?? 'other', ms }];
  });
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Ended meanwhile, or no Linux.
    return '';
  }
}
