// `npm run bench -- QUESTION`: one benchmark a question; prints what it measured and on what.
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { errorText } from '../devstack/servers/server-error.ts';
import { historyQuestion } from './history.ts';
import type { Question } from './question.ts';
import { safetyQuestion } from './safety/question.ts';

const questions: Readonly<Record<string, Question>> = {
  history: historyQuestion,
  safety: safetyQuestion,
};

class UsageError extends Error {}

function usage(): string {
  const pages = Object.entries(questions).map(([name, { says, counts }]) => {
    const options = Object.entries(counts).map(
      ([option, count]) => `  --${option.padEnd(12)} ${count.says}; ${count.usual} when not given`,
    );
    return [`${name}: ${says}`, ...options].join('\n');
  });
  const head = 'npm run bench -- <question> [--json]   (--json: one object on standard output)';
  return [head, ...pages].join('\n\n');
}

interface Asked {
  readonly name: string;
  readonly question: Question;
  readonly counts: Readonly<Record<string, number>>;
  readonly isJson: boolean;
}

/** Undefined when help is asked for. Throws a `UsageError`. */
function readArguments(argv: readonly string[]): Asked | undefined {
  const [name = '', ...rest] = argv;
  if (argv.includes('--help')) return undefined;
  const question = Object.hasOwn(questions, name) ? questions[name] : undefined;
  if (!question) throw new UsageError(`${name ? `no question "${name}"` : 'which question?'}`);
  const names = Object.keys(question.counts);
  const texts = Object.fromEntries(names.map((count) => [count, { type: 'string' as const }]));
  const options = { ...texts, json: { type: 'boolean' as const } };
  const { values } = parse(rest, options);
  const counts = Object.entries(question.counts).map(([count, { usual, min }]) => [
    count,
    readCount(count, values[count], usual, min),
  ]);
  return { name, question, counts: Object.fromEntries(counts), isJson: values['json'] === true };
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

async function main(): Promise<number> {
  const asked = readArguments(process.argv.slice(2));
  if (!asked) {
    process.stdout.write(`${usage()}\n`);
    return 0;
  }
  const { name, question, counts, isJson } = asked;
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    node: process.version,
    loadBefore: loadavg()[0] ?? 0,
  };
  const { report, text, isRight } = await question.ask(counts);
  const loadAfter = loadavg()[0] ?? 0;
  const { cpu, cores, node, loadBefore } = machine;
  const load = `load ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after`;
  process.stdout.write(
    isJson
      ? `${JSON.stringify({ question: name, machine: { ...machine, loadAfter }, ...report })}\n`
      : `${cpu}, ${cores} cores, ${load}, Node ${node}\n${text}\n`,
  );
  return isRight ? 0 : 1;
}

function explain(error: unknown): number {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`${errorText(error)}${isUsage ? `\n\n${usage()}` : ''}\n`);
  return isUsage ? 2 : 1;
}

// The ephemeral servers live as long as this process: it ends itself.
process.exit(await main().catch(explain));
