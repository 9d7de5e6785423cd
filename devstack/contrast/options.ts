// The command line of `npm run contrast`: parsed, or refused with a sentence that says what to do.
import { parseArgs } from 'node:util';
import { AI_SDK_INSTALL } from './ai-sdk.ts';
import { type SystemName, systemNames } from './system.ts';

export const scenarioNames = ['compare', 'lock', 'money-transfer'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export interface ContrastOptions {
  readonly scenario: ScenarioName;
  readonly seed: number;
  readonly runs: number;
  readonly systems: readonly SystemName[];
  readonly json: boolean;
  readonly keep: boolean;
  readonly help: boolean;
}

/** A mistake of the user: its message is for the terminal. */
export class UsageError extends Error {}

export const USAGE = `npm run contrast -- [compare|lock|money-transfer] [options]

  compare          (the default) the same batches of invoices under the same seeded faults on each system
  lock             a lock with a TTL whose holder is frozen longer than the TTL, and effect() in its place
  money-transfer   the money transfer of Temporal's documentation, plain and with effect(), its worker killed

  --systems <a,b>  for compare, of: ${systemNames.join(', ')}; default all
  --seed <n>       for compare: what happens to which payment follows from it; default 1
  --runs <n>       for compare: batches of 5 payments per system; default 12
  --json           the result as one JSON object on standard output; progress goes to standard error
  --keep           leaves the banks' receipts logs and the workers' logs where they are, and says where

Examples
  npm run contrast -- --systems plain,with-effect --runs 4
  npm run contrast -- --systems with-effect --runs 200 --seed 7     Pawl alone, the long form
  npm run -s contrast -- lock --json

ai-sdk runs when its packages are there (about 290 MB; they ask for Node >= 22.12); they are no dependency of Pawl:
  ${AI_SDK_INSTALL}

Ends with 0 when the banks' logs show each payment of effect() once and some payment of every other system that ran
twice (otherwise the faults prove nothing); with 1 when not; with 2 when the command line is wrong.`;

const FLAGS = {
  seed: { type: 'string', default: '1' },
  runs: { type: 'string', default: '12' },
  systems: { type: 'string', default: systemNames.join(',') },
  json: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;
const COMPARE_ONLY = ['seed', 'runs', 'systems'] as const;

/** Parses the words after the command. Throws a `UsageError`. */
export function parseOptions(argv: readonly string[]): ContrastOptions {
  const { values, positionals, tokens } = parse(argv);
  const [scenario = 'compare', ...more] = positionals;
  if (!isOneOf(scenarioNames, scenario) || more.length > 0) {
    throw new UsageError(
      `"${positionals.join(' ')}": give one of ${scenarioNames.join(', ')}, or nothing.`,
    );
  }
  const given = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
  const useless = COMPARE_ONLY.find((name) => scenario !== 'compare' && given.includes(name));
  if (useless) throw new UsageError(`--${useless} is for compare: ${scenario} has one course.`);
  return {
    scenario,
    seed: toCount('--seed', values.seed),
    runs: toCount('--runs', values.runs),
    systems: toSystems(values.systems),
    json: values.json,
    keep: values.keep,
    help: values.help,
  };
}

function parse(argv: readonly string[]) {
  const config = { args: [...argv], options: FLAGS, allowPositionals: true, tokens: true } as const;
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name);
}

function toCount(name: string, text: string): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count >= 1) return count;
  throw new UsageError(`${name} ${text}: give a whole number from 1.`);
}

/** In the order of the table, whatever the order on the command line. */
function toSystems(text: string): readonly SystemName[] {
  const named = text.split(',').map((name) => name.trim());
  const unknown = named.find((name) => !isOneOf(systemNames, name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--systems: there is no "${unknown}". There are: ${systemNames.join(', ')}.`,
    );
  }
  return systemNames.filter((name) => named.includes(name));
}
