// `npm run explore`: explores every contract exhaustively within a budget of faults, and prints states and violations.
import { defects } from './defects.ts';
import { explore, type Explored } from './explore.ts';
import { type ExploreCommand, parseOptions, USAGE, UsageError } from './options.ts';
import { toTable } from './report.ts';
import { productionRules } from './rules.ts';
import { createSetting } from './setting.ts';

function run(command: ExploreCommand): readonly Explored[] {
  const defect = command.defect === undefined ? undefined : defects[command.defect];
  const budget = command.budget ?? defect?.budget;
  return command.settings.map((name) => {
    const setting = createSetting(name, {
      ...(budget === undefined ? {} : { budget }),
      mayFreezeBeforeWrite: command.frozen,
    });
    if (!command.json) process.stderr.write(`exploring ${name}\n`);
    return explore(setting, {
      rules: defect?.rules ?? productionRules,
      statesMax: command.statesMax,
      stopsAtFirst: defect !== undefined,
    });
  });
}

function main(): number {
  const command = parseOptions(process.argv.slice(2));
  if (command.help) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const results = run(command);
  const text = command.json ? JSON.stringify({ results }, null, 2) : toTable(results);
  process.stdout.write(`${text}\n`);
  const isBroken = results.some(({ violations }) => violations.length > 0);
  if (command.frozen || command.defect !== undefined) return isBroken ? 0 : 1;
  return isBroken || results.some(({ isComplete }) => !isComplete) ? 1 : 0;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n\n${USAGE}\n`);
  process.exitCode = 2;
}
