// effects, doubts, settle, why: what was done to the world, and what nobody knows yet.
import { Argument, type Command, Option } from 'commander';
import { EffectStatus } from '../../../domain/rules/effect.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { formatDoubts, formatEffects, formatSettled } from '../format/effect-format.ts';
import { formatStuckRuns } from '../format/stuck-format.ts';
import { formatWake } from '../format/wake-format.ts';
import { formatExplanation } from '../format/why-format.ts';
import { readJsonArgument } from '../input-argument.ts';
import { asOption, toCount } from './run-commands.ts';

export function addEffectCommands(program: Command, toAction: ToAction): void {
  addEffects(program, toAction);
  addDoubts(program, toAction);
  addSettle(program, toAction);
  addWhy(program, toAction);
}

interface EffectsOptions {
  readonly run?: string;
  readonly status?: EffectStatus;
  readonly limit: number;
}

function effectArgument(): Argument {
  return new Argument('<effect>', 'effect id, or its first or last 6+ letters');
}

function addEffects(program: Command, toAction: ToAction): void {
  const statuses = Object.values(EffectStatus);
  const command = program
    .command('effects')
    .summary('what was done, is being done or was refused')
    .description(
      'Lists effects: those of one run in the order of its calls, else the newest first.',
    )
    .option('-r, --run <run>', 'only those of one run')
    .addOption(new Option('-s, --status <status>', 'only those of this status').choices(statuses))
    .option('-n, --limit <count>', 'how many', toCount, 50)
    .action(toAction<EffectsOptions>(effects));
  addExamples(command, [
    ['pawl effects --run latest', 'of the newest run'],
    ['pawl effects --status dispatched', 'what is on its way'],
  ]);
}

async function effects(call: Call<EffectsOptions>): Promise<void> {
  const { run, status, limit } = call.options;
  const client = await call.connect();
  const found = await call.progress('reading effects', client.effects({ run, status, limit }));
  call.print(found, () => formatEffects(call.io, found, new Date(), { hasRun: run === undefined }));
}

function addDoubts(program: Command, toAction: ToAction): void {
  const command = program
    .command('doubts')
    .summary('what waits for a human: effects of unknown outcome, stuck runs')
    .description(
      'Lists the effects that were sent and have no definite outcome, or contradicting ones, and the runs that are stuck,\n' +
        'each with what to do. A doubt is never resent and never guessed: you ask the receiver, and settle it with the\n' +
        'evidence. With --json: one list, of `kind` `effect` or `run`.',
    )
    .action(toAction(doubts));
  addExamples(command, [
    ['pawl doubts', 'what to look at'],
    ['pawl doubts --json | jq length', 'how many'],
    [`pawl doubts --json | jq '.[] | select(.kind == "run")'`, 'only the stuck runs'],
  ]);
}

async function doubts(call: Call): Promise<void> {
  const client = await call.connect();
  const reading = Promise.all([client.doubts(), client.stuckRuns()]);
  const [found, stuck] = await call.progress('reading doubts', reading);
  const all = [
    ...found.map((effect) => ({ kind: 'effect', ...effect })),
    ...stuck.map((run) => ({ kind: 'run', ...run })),
  ];
  call.print(all, () => {
    const now = new Date();
    return formatDoubts(call.io, found, now) + formatStuckRuns(call.io, stuck, now);
  });
}

interface SettleCommandOptions {
  readonly evidence: string;
  readonly output?: string;
  readonly contradict?: boolean;
  readonly as?: string;
}

function addSettle(program: Command, toAction: ToAction): void {
  const command = program
    .command('settle')
    .summary('say what became of an effect in doubt')
    .description(
      'Settles a doubt with evidence. It is final: the engine makes a fact of it, and the run goes on.\n' +
        '`applied`: the receiver did it. `not-applied`: it did not, and will not.',
    )
    .addArgument(effectArgument())
    .addArgument(new Argument('<outcome>', 'what became of it').choices(['applied', 'not-applied']))
    .requiredOption('-e, --evidence <text>', 'how you know: a receipt number, a ticket, a name')
    .option(
      '-o, --output <json>',
      'what the tool would have returned: JSON, @file or - (only with applied)',
    )
    .option('--contradict', 'put it on record against a definite outcome: it becomes a conflict')
    .addOption(asOption('who settles it'))
    .action(toAction<SettleCommandOptions>(settle));
  addExamples(command, [
    [
      `pawl settle ef_3k9v2m applied --evidence 'bank receipt 8812' --output '{"paymentId":"p_1"}'`,
      'it happened',
    ],
    [`pawl settle ef_3k9v2m not-applied --evidence 'bank support, ticket 4711'`, 'it did not'],
  ]);
}

async function settle(call: Call<SettleCommandOptions>): Promise<void> {
  const { io, options } = call;
  const [effect = '', word] = call.args;
  const output =
    options.output === undefined
      ? undefined
      : await readJsonArgument(io, '--output', options.output);
  const client = await call.connect();
  const settling = client.settle(effect, {
    outcome: word === 'applied' ? 'applied' : 'not_applied',
    evidence: options.evidence,
    output,
    by: options.as,
    contradict: options.contradict,
  });
  const answer = await call.progress('settling', settling);
  call.print(answer, () => `${formatSettled(io, answer)}${formatWake(io, answer.wake)}`);
}

function addWhy(program: Command, toAction: ToAction): void {
  const command = program
    .command('why')
    .summary('everything that led to an effect')
    .description(
      'Tells the story of one effect: who asked, what the model said, the rule and the approval that let it through,\n' +
        'the contract, the bytes that were sent, and every fact with its time.',
    )
    .addArgument(effectArgument())
    .action(toAction(why));
  addExamples(command, [
    ['pawl why ef_3k9v2m', 'the story'],
    ['pawl why 7q2k9x --json | jq .facts', 'only the facts'],
  ]);
}

async function why(call: Call): Promise<void> {
  const client = await call.connect();
  const story = await call.progress('reading the story', client.why(call.args[0] ?? ''));
  call.print(story, () => formatExplanation(call.io, story, new Date()));
}
