// effects, doubts, settle, why: what was done to the world, and what nobody knows yet.
import { Argument, type Command, Option } from 'commander';
import { EffectStatus } from '../../../domain/rules/effect.ts';
import type { EffectView } from '../../effect-views.ts';
import type { PawlClient } from '../../pawl-client.ts';
import type { StuckRunView } from '../../stuck-runs.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { formatDoubts, formatEffects, formatSettled } from '../format/effect-format.ts';
import { formatStuckRuns } from '../format/stuck-format.ts';
import { formatWake } from '../format/wake-format.ts';
import { formatExplanation } from '../format/why-format.ts';
import { readJsonArgument } from '../input-argument.ts';
import {
  addPageOptions,
  type PageCommandOptions,
  printAll,
  printListing,
  readPage,
  sayMore,
} from '../page-output.ts';
import { asOption } from './run-commands.ts';

export function addEffectCommands(program: Command, toAction: ToAction): void {
  addEffects(program, toAction);
  addDoubts(program, toAction);
  addSettle(program, toAction);
  addWhy(program, toAction);
}

interface EffectsOptions extends PageCommandOptions {
  readonly run?: string;
  readonly status?: EffectStatus;
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
    .action(toAction<EffectsOptions>(effects));
  addPageOptions(command, 'effects', 50);
  addExamples(command, [
    ['pawl effects --run latest', 'of the newest run'],
    ['pawl effects --status dispatched', 'what is on its way'],
  ]);
}

async function effects(call: Call<EffectsOptions>): Promise<void> {
  const { run, status } = call.options;
  const client = await call.connect();
  const filters = [
    ...(run === undefined ? [] : ['--run', run]),
    ...(status === undefined ? [] : ['--status', status]),
  ];
  const hasRun = run === undefined;
  await printListing<EffectView>(call, {
    what: 'effects',
    command: ['pawl effects', ...filters].join(' '),
    idOf: ({ effect }) => effect,
    read: (page) => client.effects({ run, status, ...page }),
    each: (page) => client.each('effects', { run, status, ...page }),
    human: (found) => formatEffects(call.io, found, new Date(), { hasRun }),
  });
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
    .action(toAction<PageCommandOptions>(doubts));
  addPageOptions(command, 'doubts, and how many stuck runs', 100);
  addExamples(command, [
    ['pawl doubts', 'what to look at'],
    ['pawl doubts --all --json | jq length', 'how many'],
    [`pawl doubts --json | jq '.[] | select(.kind == "run")'`, 'only the stuck runs'],
  ]);
}

/** Behind a run there are only runs: the stuck ones come after the effects. */
async function doubts(call: Call<PageCommandOptions>): Promise<void> {
  const client = await call.connect();
  const { after, all } = call.options;
  const isBehindEffects = after?.startsWith('run_') ?? false;
  if (all) return printAllDoubts(call, client, isBehindEffects);
  const nothing = { rows: [], next: '' };
  const effects = isBehindEffects ? nothing : await readPage(call, doubtsOf(client), after);
  const showsRuns = isBehindEffects || after === undefined;
  const runs = showsRuns ? await readPage(call, stuckOf(client), after) : nothing;
  const rows = [
    ...effects.rows.map((effect) => ({ kind: 'effect', ...effect })),
    ...runs.rows.map((run) => ({ kind: 'run', ...run })),
  ];
  call.print(rows, () => {
    const now = new Date();
    const cards = isBehindEffects ? '' : formatDoubts(call.io, effects.rows, now);
    return cards + formatStuckRuns(call.io, runs.rows, now);
  });
  for (const { next } of [effects, runs]) sayMore(call, next);
}

function doubtsOf(client: PawlClient): Parameters<typeof readPage<EffectView>>[1] {
  return {
    what: 'doubts',
    command: 'pawl doubts',
    idOf: ({ effect }) => effect,
    read: (page) => client.doubts(page),
  };
}

function stuckOf(client: PawlClient): Parameters<typeof readPage<StuckRunView>>[1] {
  return {
    what: 'stuck runs',
    command: 'pawl doubts',
    idOf: ({ runKey }) => runKey,
    read: (page) => client.stuckRuns(page),
  };
}

type Doubt = ({ readonly kind: 'effect' } & EffectView) | ({ readonly kind: 'run' } & StuckRunView);

async function printAllDoubts(
  call: Call<PageCommandOptions>,
  client: PawlClient,
  isBehindEffects: boolean,
): Promise<void> {
  const { after } = call.options;
  async function* both(): AsyncGenerator<Doubt, void> {
    if (!isBehindEffects) {
      for await (const effect of client.each('doubts', { after }))
        yield { kind: 'effect', ...effect };
    }
    const runs = client.each('stuckRuns', isBehindEffects ? { after } : {});
    for await (const run of runs) yield { kind: 'run', ...run };
  }
  await printAll(call, both(), (rows) => {
    const now = new Date();
    const effects = rows.flatMap((row) => (row.kind === 'effect' ? [row] : []));
    const runs = rows.flatMap((row) => (row.kind === 'run' ? [row] : []));
    const cards =
      effects.length > 0 || runs.length === 0 ? formatDoubts(call.io, effects, now) : '';
    return cards + formatStuckRuns(call.io, runs, now);
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
