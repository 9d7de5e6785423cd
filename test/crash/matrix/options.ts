// The command line of `npm run crash`: parsed, or refused with a sentence that says what to do.
import { parseArgs } from 'node:util';
import { UsageError } from '../../../devstack/contrast/options.ts';

export { UsageError };

export interface CrashOptions {
  /** How many real cells; undefined: all. */
  readonly cells: number | undefined;
  /** A cell by its name, as a report prints it; with `only: 'sim'` one of the simulation's. */
  readonly cell: string | undefined;
  readonly seed: number;
  readonly only: 'real' | 'sim' | undefined;
  /** In the simulation; undefined: what is missing to 10,000. */
  readonly crashes: number | undefined;
  readonly width: number;
  /** The real cells with short tools as `local` ones. */
  readonly local: boolean;
  readonly json: boolean;
  readonly list: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run crash -- [options]

Workers die at every point around an effect, and the receivers' own logs say what was done: real processes, killed with
SIGKILL, against a real Temporal and PostgreSQL; then the same engine in one process under a seeded schedule, for volume.

  --cells <n|all>   real cells, chosen by the seed; default all
  --cell <name>     one real cell, as in "keyed 8 timeout-after"; with --only sim --seed <n> one simulated run, traced
  --seed <n>        which cells in which order, and all of the simulation; default: a new one, printed
  --only <real|sim> one half of it
  --crashes <n>     crashes in the simulation; default: what is missing to 10,000 in all
  --width <n>       squads of up to six cells under way at once; default 4
  --local           the real cells with short tools as local activities
  --list            every cell of the matrix, those that cannot be reached with the reason; plays nothing
  --json            the result as one JSON object on standard output; progress goes to standard error

Examples
  npm run crash                                       all of it
  npm run crash -- --cells 40 --seed 7                forty real cells, and 10,000 crashes in all
  npm run crash -- --cell "once 8 ok" --only real     one cell, as a failure tells you to repeat it
  npm run crash -- --local --only real                all real cells, short tools as local activities
  npm run crash -- --only sim --cell "once settle-commit ok storm" --seed 12
  npm run -s crash -- --only sim --crashes 100000 --json

Ends with 0 when nothing was duplicated, lost or silent and every doubt was predicted; with 1 when not; with 2 when the
command line is wrong; with 130 when it was stopped: what was seen so far is printed then, too.`;

const FLAGS = {
  cells: { type: 'string', default: 'all' },
  cell: { type: 'string' },
  seed: { type: 'string' },
  only: { type: 'string' },
  crashes: { type: 'string' },
  width: { type: 'string', default: '4' },
  local: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Parses the words after the command. Throws a `UsageError`. */
export function parseOptions(argv: readonly string[]): CrashOptions {
  const values = parse(argv);
  const { only, cell, local, json, list, help } = values;
  if (only !== undefined && only !== 'real' && only !== 'sim') {
    throw new UsageError(`--only ${only}: say real or sim.`);
  }
  if (only === 'sim' && cell !== undefined && values.seed === undefined) {
    throw new UsageError('--cell in the simulation needs the --seed that it failed with.');
  }
  if (only === 'real' && values.crashes !== undefined) {
    throw new UsageError('--crashes is for the simulation: leave --only real away.');
  }
  return {
    cells: values.cells === 'all' ? undefined : toCount('--cells', values.cells),
    seed: toCount('--seed', values.seed ?? String(1 + (Date.now() % 999_999))),
    crashes: values.crashes === undefined ? undefined : toCount('--crashes', values.crashes),
    width: toCount('--width', values.width),
    ...{ cell, only, local, json, list, help },
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function toCount(name: string, text: string): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count >= 1) return count;
  throw new UsageError(`${name} ${text}: give a whole number from 1.`);
}
