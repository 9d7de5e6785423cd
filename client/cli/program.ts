// The `pawl` program: all commands, what every command takes, and how errors end it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tab from '@bomb.sh/tab/commander';
import { Command, CommanderError } from 'commander';
import { ExitCode, isPawlError, type PawlError } from '../errors.ts';
import { createToAction } from './call.ts';
import type { CliIo } from './cli-io.ts';
import { addApprovalCommands } from './commands/approval-commands.ts';
import { addCodecCommand } from './commands/codec-command.ts';
import { addControlCommands } from './commands/control-commands.ts';
import { addDataCommands } from './commands/data-commands.ts';
import { addEffectCommands } from './commands/effect-commands.ts';
import { addForkCommands } from './commands/fork-commands.ts';
import { addReconcileCommand } from './commands/reconcile-command.ts';
import { addReplayCommand } from './commands/replay-command.ts';
import { addRunCommands } from './commands/run-commands.ts';
import { addSessionCommand } from './commands/session-command.ts';
import { addStackCommands } from './commands/stack-commands.ts';
import { addWorkerCommands } from './commands/worker-command.ts';
import { packageRoot } from './dev-process.ts';
import { addExamples } from './examples.ts';
import { formatSafeJson, toSafeText } from './format/safe-text.ts';

/** Runs one command line (without `node` and the script) and returns the exit code; never throws. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.Ok;
  const program = createProgram(io, (code) => (exitCode = code));
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    return reportError(error, io, argv.includes('--json'));
  }
}

/** The program with all its commands. */
export function createProgram(io: CliIo, setExitCode: (code: ExitCode) => void): Command {
  const program = new Command('pawl')
    .description(
      'Durable AI-agent runs: what an agent has done stays done, what it may not do it cannot do.',
    )
    .version(readVersion(), '-V, --version')
    .option('--json', 'one JSON document instead of text (watch: one object per line)')
    .option(
      '--database-url <url>',
      "the ledger's PostgreSQL (default: DATABASE_URL, .pawl/stack.json)",
    )
    .option(
      '--temporal-address <host:port>',
      'Temporal (default: TEMPORAL_ADDRESS, .pawl/stack.json)',
    )
    .option('--namespace <name>', "Temporal's namespace (default: PAWL_NAMESPACE, default)")
    .option('--tenant <name>', 'whose runs (default: PAWL_TENANT, default)')
    .option('--task-queue <name>', "the workers' task queue (default: PAWL_TASK_QUEUE, pawl)")
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help for the options and examples)');
  const toAction = createToAction(io, setExitCode);
  program.commandsGroup('Runs:');
  addRunCommands(program, toAction);
  addSessionCommand(program, toAction);
  addForkCommands(program, toAction);
  program.commandsGroup('Human control:');
  addApprovalCommands(program, toAction);
  addControlCommands(program, toAction);
  program.commandsGroup('Effects:');
  addEffectCommands(program, toAction);
  addReconcileCommand(program, toAction);
  program.commandsGroup('Data:');
  addDataCommands(program, toAction);
  addCodecCommand(program, toAction);
  program.commandsGroup('Stack:');
  addStackCommands(program, toAction);
  addWorkerCommands(program, toAction);
  addReplayCommand(program, toAction);
  program.helpCommand('help [command]', 'help for a command');
  addCompletion(program);
  return program.addHelpText('after', EXIT_CODES);
}

const EXIT_CODES = `
Ids may be shortened to a unique beginning or end of 6+ letters; \`latest\` is the newest run.

Exit codes: 0 ok; 1 the thing failed; 2 wrong usage or unknown id; 3 a server does not answer;
            4 the run ended, but not completed; 130 Ctrl-C (a run that was watched goes on)`;

/** A shell shows one line per command, and takes it from the description: that is short while `tab` reads it. */
function addCompletion(program: Command): void {
  const descriptions = program.commands.map((command) => command.description());
  for (const command of program.commands) command.description(command.summary());
  tab(program, { completionCommandName: 'completion' });
  descriptions.forEach((text, index) => program.commands[index]?.description(text));
  describeCompletion(program);
}

function describeCompletion(program: Command): void {
  const completion = program.commands.find((command) => command.name() === 'completion');
  if (!completion) return;
  completion.summary('shell completion: bash, zsh, fish, powershell').helpGroup('Stack:');
  addExamples(completion, [
    ['source <(pawl completion bash)', 'for this shell'],
    ['pawl completion zsh > ~/.pawl-completion.zsh', 'then source it in ~/.zshrc'],
  ]);
}

function readVersion(): string {
  const content: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  return (content as { version: string }).version;
}

/** A user's mistake is a message; only what nobody expected has a stack trace. */
function reportError(error: unknown, io: CliIo, isJson: boolean): ExitCode {
  const { code, message, exitCode } = describe(error);
  if (isJson && exitCode !== ExitCode.Ok) {
    io.out(`${formatSafeJson({ error: { code, message } }, 2)}\n`);
  } else if (!(error instanceof CommanderError)) {
    // Commander has written its own message, or the help.
    io.err(`${io.paintError('bad', 'error:')} ${toSafeText(message)}\n`);
  }
  return exitCode;
}

function describe(error: unknown): Pick<PawlError, 'code' | 'message' | 'exitCode'> {
  if (error instanceof CommanderError) {
    const exitCode = error.exitCode === 0 ? ExitCode.Ok : ExitCode.Usage;
    return { code: 'Usage', message: error.message, exitCode };
  }
  if (isPawlError(error)) return error;
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const message = `this is a mistake in Pawl, please report it.\n${details}`;
  return { code: 'Internal', message, exitCode: ExitCode.Failed };
}
