// The command line of the benchmarks: a question, its counts, and where the answer goes. Throws nothing but `UsageError`.
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { errorText } from '../devstack/servers/server-error.ts';
import type { Question } from './question.ts';

export type Questions = Readonly<Record<string, Question>>;

/** What was typed is not usable; the message says what and why. */
export class UsageError extends Error {}

/** One page for all questions. */
export function usage(questions: Questions): string {
  const pages = Object.entries(questions).map(([name, { says, counts, draws }]) => {
    const options = Object.entries(counts).map(
      ([option, count]) => `  --${option.padEnd(12)} ${count.says}; ${count.usual} when not given`,
    );
    const svg = draws === undefined ? [] : [`  --svg FILE     ${draws}`];
    return [`${name}: ${says}`, ...options, ...svg].join('\n');
  });
  const head =
    'npm run bench -- <question> [--json] [--out FILE]\n' +
    '  --json: one object on standard output; --out: the same object into a file';
  return [head, ...pages].join('\n\n');
}

export interface Asked {
  readonly name: string;
  readonly question: Question;
  readonly counts: Readonly<Record<string, number>>;
  readonly isJson: boolean;
  /** Takes the JSON, too. */
  readonly outFile: string | undefined;
  /** Takes what the answer draws. */
  readonly svgFile: string | undefined;
}

/** Undefined when help is asked for. Throws a `UsageError`. */
export function readArguments(questions: Questions, argv: readonly string[]): Asked | undefined {
  const [name = '', ...rest] = argv;
  if (argv.includes('--help')) return undefined;
  const question = Object.hasOwn(questions, name) ? questions[name] : undefined;
  if (!question) throw new UsageError(`${name ? `no question "${name}"` : 'which question?'}`);
  const names = Object.keys(question.counts);
  const text = { type: 'string' as const };
  const { values } = parse(rest, {
    ...Object.fromEntries(names.map((count) => [count, text])),
    ...(question.draws === undefined ? {} : { svg: text }),
    out: text,
    json: { type: 'boolean' as const },
  });
  const counts = Object.entries(question.counts).map(([count, { usual, min }]) => [
    count,
    readCount(count, values[count], usual, min),
  ]);
  return {
    name,
    question,
    counts: Object.fromEntries(counts),
    isJson: values['json'] === true,
    outFile: readFile('out', values['out']),
    svgFile: readFile('svg', values['svg']),
  };
}

function parse(
  args: string[],
  options: Record<string, { type: 'string' | 'boolean' }>,
): { values: Record<string, unknown> } {
  try {
    return parseArgs({ args, options });
  } catch (error) {
    throw new UsageError(errorText(error));
  }
}

function readCount(name: string, given: unknown, usual: number, min: number): number {
  if (given === undefined) return usual;
  const count = Number(given);
  if (/^\d{1,6}$/.test(String(given)) && count >= min) return count;
  throw new UsageError(`--${name} ${String(given)}: give a whole number from ${min}`);
}

/** Said before the measurement, not after it. */
function readFile(name: string, given: unknown): string | undefined {
  if (typeof given !== 'string') return undefined;
  const folder = dirname(resolve(given));
  if (given !== '' && existsSync(folder)) return given;
  throw new UsageError(`--${name} ${given}: there is no folder ${folder}`);
}
