// Examples below a command's help: the quickest way to learn it.
import type { Command } from 'commander';

/** Adds `Examples:` to the help of `command`; each is `[line, what it does]`. */
export function addExamples(
  command: Command,
  examples: readonly (readonly [line: string, does: string])[],
): Command {
  const width = Math.max(...examples.map(([line]) => line.length)) + 2;
  const lines = examples.map(([line, does]) => `  ${line.padEnd(width)}# ${does}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
