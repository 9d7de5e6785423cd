// Where a process that replays may run: its threads hand each other the work all the time, one at a time.
import { accessSync, constants, readFileSync } from 'node:fs';

const TASKSET = '/usr/bin/taskset';

/** The words to put before a command so that it stays on one core. */
export interface Pin {
  readonly command: string;
  readonly arguments: readonly string[];
}

/**
 * A core for each process where they are as many as the cores: waking a thread on another core costs more than it brings
 * there, twice as much on a virtual machine that is idle. Else, and where there is no `taskset`, undefined: the system's choice.
 */
export function pinFor(place: number, processes: number): Pin | undefined {
  const cores = coresOf(read('/proc/self/status'));
  const core = cores[place];
  if (core === undefined || processes !== cores.length || !isExecutable(TASKSET)) return undefined;
  return { command: TASKSET, arguments: ['-c', String(core)] };
}

/** The cores of `Cpus_allowed_list: 0-2,5`. */
export function coresOf(status: string): readonly number[] {
  const list = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status)?.[1];
  return (list?.split(',') ?? []).flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Not Linux.
    return '';
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
