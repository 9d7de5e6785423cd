// The kinds of generated input: a row each, with the number of cases of a full run.
import { fuzzCommands } from './command-world.ts';
import { fuzzStreams } from './streams/fuzz-streams.ts';

export interface FuzzRun {
  readonly seed: number;
  readonly cases: number;
  /** Called now and then with the number of cases that are done. */
  readonly onProgress?: (done: number) => void;
}

export interface FuzzReport {
  /** What was done and seen, by name, for the printed table. */
  readonly counts: Readonly<Record<string, number>>;
  /** What must never be, by name; all 0 when nothing was found. */
  readonly violations: Readonly<Record<string, number>>;
  /** Some of the violations, each with all that repeats it. */
  readonly examples: readonly string[];
}

interface Kind {
  readonly what: string;
  readonly cases: number;
  readonly run: (run: FuzzRun) => Promise<FuzzReport>;
}

export const kinds = {
  streams: {
    what: "mutated streams of both formats through the SDKs, the adapters and the judge's rules",
    cases: 100_000,
    run: fuzzStreams,
  },
  commands: {
    what: 'generated lines of every command, in this process, on a real database and Temporal',
    cases: 2_000,
    run: fuzzCommands,
  },
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof kinds;
export const kindNames = Object.keys(kinds) as KindName[];
