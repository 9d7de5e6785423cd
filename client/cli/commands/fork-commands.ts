// fork, compensate: deciding anew, and taking back; the only commands that begin effects by themselves.
import { type Command, Option } from 'commander';
import type { CompensatedRun } from '../../compensate-run.ts';
import {
  ArgumentInvalidError,
  ExitCode,
  ForkUndecidedError,
  type UndecidedEffect,
} from '../../errors.ts';
import type { Fate, ForkedRun, ForkOptions } from '../../fork-run.ts';
import type { PawlClient } from '../../pawl-client.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { toSafeLine } from '../format/safe-text.ts';
import { asOption, runArgument } from './run-commands.ts';

export function addForkCommands(program: Command, toAction: ToAction): void {
  addFork(program, toAction);
  addCompensate(program, toAction);
}

interface ForkCommandOptions {
  readonly at?: string;
  readonly keep?: boolean;
  readonly compensate?: boolean;
  readonly effect?: readonly string[];
  readonly message?: string;
  readonly key?: string;
  readonly as?: string;
}

function addFork(program: Command, toAction: ToAction): void {
  const command = program
    .command('fork')
    .summary('decide a turn of an ended run anew, in a new run')
    .description(
      'Starts a new run that knows everything up to a turn of an ended one and decides that turn anew.\n' +
        'What the old run did from that turn on is kept or undone as you say; the model is told which.\n' +
        'Without --keep, --compensate or --effect you are asked for each effect.',
    )
    .addArgument(runArgument())
    .option('--at <turn>', 'the turn to decide anew (default: the last)')
    .addOption(new Option('--keep', 'what was done stands').conflicts('compensate'))
    .option('--compensate', 'what was done is undone first, the last effect first')
    .option('--effect <ef=keep|compensate...>', 'for one effect; may be repeated')
    .option('-m, --message <text>', 'said to the model before it decides')
    .option('-k, --key <key>', 'the same key forks once, however often')
    .addOption(asOption('who forks: may not approve what the new run asks for'))
    .action(toAction<ForkCommandOptions>(fork));
  addExamples(command, [
    ['pawl fork latest', 'asks what becomes of each effect of the last turn'],
    [
      'pawl fork run_01J9Z3 --at 4 --compensate',
      'undo everything from turn 4 on, then decide anew',
    ],
    [
      'pawl fork latest --keep -m "The customer wants a voucher instead."',
      'keep it all, with a hint',
    ],
    ['pawl fork latest --keep --effect ef_7q2k9x=compensate --json', 'for a script'],
  ]);
}

async function fork(call: Call<ForkCommandOptions>): Promise<ExitCode> {
  const { options, args } = call;
  const client = await call.connect();
  const asked: ForkOptions = {
    at: options.at === undefined ? undefined : Number(options.at),
    effects: options.keep ? 'keep' : options.compensate ? 'compensate' : 'ask',
    fates: await readFates(client, options.effect ?? []),
    message: options.message,
    key: options.key,
  };
  const forked = await forkAsking(call, client, args[0] ?? '', asked);
  if (!forked) return ExitCode.Interrupted;
  call.print(forked, () => formatForked(call, forked));
  return ExitCode.Ok;
}

async function readFates(
  client: PawlClient,
  typed: readonly string[],
): Promise<Readonly<Record<string, Fate>>> {
  const pairs = typed.map(async (each): Promise<[string, Fate]> => {
    const [id = '', fate = ''] = each.split('=');
    if (fate !== 'keep' && fate !== 'compensate') {
      throw new ArgumentInvalidError(
        `"${each}": write an effect and its fate, as in ef_7q2k9x=keep.`,
      );
    }
    return [(await client.why(id)).effect.effect, fate];
  });
  return Object.fromEntries(await Promise.all(pairs));
}

/** Forks; what is undecided is asked for on a terminal. Undefined when the human turns away. */
async function forkAsking(
  call: Call<ForkCommandOptions>,
  client: PawlClient,
  run: string,
  asked: ForkOptions,
): Promise<ForkedRun | undefined> {
  try {
    return await call.progress('forking', client.fork(run, asked));
  } catch (error) {
    const canAsk = call.io.isInteractive && !call.options.json;
    if (!(error instanceof ForkUndecidedError) || !canAsk) throw error;
    const fates: Record<string, Fate> = { ...asked.fates };
    for (const effect of error.undecided) {
      const fate = await askFate(effect);
      if (!fate) return undefined;
      fates[effect.effect] = fate;
    }
    return call.progress('forking', client.fork(run, { ...asked, fates }));
  }
}

async function askFate({ effect, summary, status }: UndecidedEffect): Promise<Fate | undefined> {
  const prompts = await import('@clack/prompts');
  const answer = await prompts.select({
    message: toSafeLine(`${summary} (${effect}, ${status}): keep it, or undo it?`),
    options: [
      { value: 'keep' as const, label: 'keep', hint: 'it stands; the model is told so' },
      { value: 'compensate' as const, label: 'undo', hint: 'by the tool’s `compensate`' },
    ],
  });
  return answer === 'keep' || answer === 'compensate' ? answer : undefined;
}

function formatForked({ io }: Call, forked: ForkedRun): string {
  const { runKey, isNew, forkedFrom, at, kept, compensated, unguarded } = forked;
  const lines = [
    `${io.paint('bold', runKey)} ${isNew ? 'forked' : 'was already forked with this key'} from ${forkedFrom} at turn ${at}`,
    ...(kept.length > 0 ? [`  kept: ${kept.join(', ')}`] : []),
    ...(compensated.length > 0 ? [`  undone first: ${compensated.join(', ')}`] : []),
    ...unguarded.map((id) =>
      io.paint('warn', `  ${id} has no identity: the new run may do the same again`),
    ),
    `  follow it: pawl watch ${runKey}`,
  ];
  return `${lines.join('\n')}\n`;
}

interface CompensateCommandOptions {
  readonly effect?: readonly string[];
}

function addCompensate(program: Command, toAction: ToAction): void {
  const command = program
    .command('compensate')
    .summary('undo what an ended run has done')
    .description(
      'Undoes the effects of an ended run, the last first, each by its tool’s `compensate`, as an effect of its own.\n' +
        'Ctrl-C only stops the waiting: the undoing goes on. Exit code 1: something was refused or could not be undone.',
    )
    .addArgument(runArgument())
    .option('--effect <effect...>', 'only these effects')
    .action(toAction<CompensateCommandOptions>(compensate));
  addExamples(command, [
    ['pawl compensate run_01J9Z3', 'all that the run has done'],
    ['pawl compensate latest --effect ef_7q2k9x', 'one effect'],
    ['pawl compensate latest --json | jq .effects', 'for a script'],
  ]);
}

async function compensate(call: Call<CompensateCommandOptions>): Promise<ExitCode> {
  const client = await call.connect();
  const interrupt = new AbortController();
  const forget = call.io.onInterrupt(() => interrupt.abort());
  const { effect: effects } = call.options;
  try {
    const working = client.compensate(call.args[0] ?? '', { effects, signal: interrupt.signal });
    const done = await call.progress('undoing (an effect in doubt is waited for)', working);
    call.print(done, () => formatCompensated(call, done));
    return done.effects.every(({ kind }) => kind !== 'refused' && kind !== 'kept')
      ? ExitCode.Ok
      : ExitCode.Failed;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    call.io.err('No longer waited for; the undoing goes on. Repeat the command to see its end.\n');
    return ExitCode.Interrupted;
  } finally {
    forget();
  }
}

const WORDS = {
  compensated: 'undone',
  refused: 'REFUSED',
  kept: 'kept: the tool has no `compensate`',
  not_needed: 'never happened',
} as const;

function formatCompensated({ io }: Call, { runKey, effects }: CompensatedRun): string {
  if (effects.length === 0) return `${runKey} has done nothing that is left to undo\n`;
  const lines = effects.map(({ effect, summary, kind, reason }) => {
    const why = reason === undefined ? '' : `: ${toSafeLine(reason)}`;
    return `${effect}  ${WORDS[kind]}${why}  ${io.paint('dim', toSafeLine(summary))}`;
  });
  return `${lines.join('\n')}\n`;
}
