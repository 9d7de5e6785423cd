// The command line of `npm run explore`: parsed, or refused with a sentence that says what to do.
import { parseArgs } from 'node:util';
import { type DefectName, defectNames, defects } from './defects.ts';
import { type SettingName, settingNames } from './setting.ts';

export interface ExploreCommand {
  readonly settings: readonly SettingName[];
  readonly budget: number | undefined;
  readonly statesMax: number;
  readonly frozen: boolean;
  readonly defect: DefectName | undefined;
  readonly json: boolean;
  readonly help: boolean;
}

/** A mistake of the user: its message is for the terminal. */
export class UsageError extends Error {}

const STATES_MAX = 10_000_000;

export const USAGE = `npm run explore -- [options]

Every state that two workers, the reconciler, Temporal, a receiver, people and the clock can reach, by the transition
functions that production runs (domain/rules), with so many faults; and whether something breaks in one of them.

  --contract <a,b>  of: ${settingNames.join(', ')};
                    default all
  --budget <n>      faults in one history; default what takes seconds (a freeze is no fault: it is free, everywhere).
                    2 takes minutes; for more give Node memory: NODE_OPTIONS=--max-old-space-size=12000
  --states-max <n>  gives up, with exit code 1, beyond so many states of a contract; default ${STATES_MAX}
  --frozen          lifts the documented limit: a process may freeze between its lease check and its write
  --defect <name>   changes one rule, which the explorer must find:
${defectNames.map((name) => `                      ${name.padEnd(16)} ${defects[name].what}`).join('\n')}
  --json            the result as one JSON object on standard output

Examples
  npm run explore -- --contract once,keyed --budget 2
  npm run explore -- --contract reconcilable --frozen
  npm run -s explore -- --json

Ends with 0 when everything was explored and nothing breaks (with --frozen or --defect: when something does),
with 1 when not, with 2 when the command line is wrong.`;

const FLAGS = {
  contract: { type: 'string' },
  budget: { type: 'string' },
  'states-max': { type: 'string', default: String(STATES_MAX) },
  frozen: { type: 'boolean', default: false },
  defect: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Parses the words after the command. Throws a `UsageError`. */
export function parseOptions(argv: readonly string[]): ExploreCommand {
  const values = parse(argv);
  const { contract, budget, frozen, json, help } = values;
  const defect = values.defect === undefined ? undefined : toDefect(values.defect);
  if (defect !== undefined && contract !== undefined) {
    throw new UsageError('--defect has its own contract: leave --contract out.');
  }
  return {
    settings: defect === undefined ? toSettings(contract) : [defects[defect].setting],
    budget: budget === undefined ? undefined : toCount('--budget', budget, 0),
    statesMax: toCount('--states-max', values['states-max'], 1),
    frozen,
    defect,
    json,
    help,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function toCount(name: string, text: string, min: number): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count >= min) return count;
  throw new UsageError(`${name} ${text}: give a whole number from ${min}.`);
}

function toDefect(name: string): DefectName {
  const known = defectNames.find((one) => one === name);
  if (known) return known;
  throw new UsageError(`--defect: there is no "${name}". There are: ${defectNames.join(', ')}.`);
}

/** In the order of the table, whatever the order on the command line. */
function toSettings(text: string | undefined): readonly SettingName[] {
  if (text === undefined) return settingNames;
  const named = text.split(',').map((name) => name.trim());
  const unknown = named.find((name) => !settingNames.some((known) => known === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--contract: there is no "${unknown}". There are: ${settingNames.join(', ')}. ` +
        'A read has no permit and no fact: there is nothing to explore.',
    );
  }
  return settingNames.filter((name) => named.includes(name));
}
