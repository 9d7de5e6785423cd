// The command line of `npm run fuzz`: parsed, or refused with a sentence that says what to do.
import { parseArgs } from 'node:util';
import { type KindName, kindNames, kinds } from './kinds.ts';

export interface FuzzCommand {
  readonly kinds: readonly KindName[];
  readonly seed: number;
  /** Absent: each kind's own number. */
  readonly cases: number | undefined;
  readonly help: boolean;
}

/** A mistake of the user: its message is for the terminal. */
export class UsageError extends Error {}

export const USAGE = `npm run fuzz -- [options]

Feeds generated odd input to the product, by its kinds, and counts what it must never do:
${kindNames.map((name) => `  ${name.padEnd(10)} ${kinds[name].what} (${kinds[name].cases} cases)`).join('\n')}

  --seed <n>    the same seed gives the same cases; default drawn and printed
  --cases <n>   so many cases of each kind; default as above
  --only <a,b>  only these kinds

Ends with 0 when nothing was found, with 1 when something was, with 2 when the command line is wrong.`;

const FLAGS = {
  seed: { type: 'string' },
  cases: { type: 'string' },
  only: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Parses the words after the command. Throws a `UsageError`. */
export function parseOptions(argv: readonly string[], drawSeed: () => number): FuzzCommand {
  const { seed, cases, only, help } = parse(argv);
  return {
    kinds: only === undefined ? kindNames : only.split(',').map(toKind),
    seed: seed === undefined ? drawSeed() : toNumber('seed', seed),
    cases: cases === undefined ? undefined : toNumber('cases', cases),
    help,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function toKind(name: string): KindName {
  const kind = kindNames.find((known) => known === name);
  if (kind) return kind;
  throw new UsageError(`--only: there is no kind "${name}"; there are: ${kindNames.join(', ')}`);
}

function toNumber(flag: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new UsageError(`--${flag} takes a whole number, not "${text}"`);
}
