// run, list, show, watch: starting runs and looking at them.
import { Argument, type Command, Option } from 'commander';
import { RunEnd } from '../../../domain/rules/run.ts';
import { ExitCode } from '../../errors.ts';
import type { PawlClient } from '../../pawl-client.ts';
import type { TranscriptOptions } from '../../read-transcript.ts';
import { type RunDetails, RunStatus, type RunView, type TranscriptEntry } from '../../run-views.ts';
import type { StartedRun } from '../../start-run.ts';
import type { FinishedRun } from '../../watch-run.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { formatEvent } from '../format/event-format.ts';
import { formatEntry, formatRunDetails, formatRuns } from '../format/run-format.ts';
import { formatSafeJson } from '../format/safe-text.ts';
import { readJsonArgument } from '../input-argument.ts';
import { addPageOptions, type PageCommandOptions, printListing, toCount } from '../page-output.ts';
import { runPage } from '../temporal-ui.ts';

/** The argument that names a run. */
export function runArgument(): Argument {
  return new Argument('<run>', 'run key, its first or last 6+ letters, or `latest`');
}

/** The option that says who asks. */
export function asOption(what: string): Option {
  return new Option('--as <name>', `${what} (default: your user name)`);
}

export function addRunCommands(program: Command, toAction: ToAction): void {
  addRun(program, toAction);
  addList(program, toAction);
  addShow(program, toAction);
  addWatch(program, toAction);
}

interface RunOptions {
  readonly input: string;
  readonly key?: string;
  readonly subject?: string;
  readonly detach?: boolean;
}

function addRun(program: Command, toAction: ToAction): void {
  const command = program
    .command('run')
    .summary('start a run of an agent and follow it to its end')
    .description(
      'Starts a run of an agent and follows it to its end. Ctrl-C only stops the following: the run goes on.\n' +
        'Exit code 0: completed; 4: ended otherwise.',
    )
    .argument('<agent>', 'name of the agent (see `pawl tools`)')
    .option('-i, --input <json>', 'input as JSON, @file or - for stdin', '{}')
    .option('-k, --key <key>', 'the same key starts the same run, however often')
    .option('--subject <pseudonym>', 'whom it is about: `pawl erase --subject` finds it')
    .addOption(
      new Option('-w, --watch', 'follow the run to its end (the default)').conflicts('detach'),
    )
    .option('-d, --detach', 'only start it and print its run key')
    .addOption(asOption('who starts it: may not approve what it asks for'))
    .action(toAction<RunOptions>(run));
  addExamples(command, [
    [`pawl run payouts --input '{"file":"invoices.csv"}'`, 'start and follow'],
    ['pawl run support --input @ticket.json --key ticket-4711', 'start at most once'],
    ['cat ticket.json | pawl run support --input - --detach', 'start and come back later'],
    ['pawl run support --input @ticket.json --json | jq .output', 'only the output'],
  ]);
}

async function run(call: Call<RunOptions>): Promise<ExitCode> {
  const { io, options, args } = call;
  const input = await readJsonArgument(io, '--input', options.input);
  const client = await call.connect();
  const start = client.start(args[0] ?? '', input, { key: options.key, subject: options.subject });
  const started = await call.progress('starting the run', start);
  if (options.detach) {
    call.print(started, () => formatStarted(call, started));
    return ExitCode.Ok;
  }
  if (!options.json) io.out(formatStarted(call, started));
  return options.json
    ? waitForResult(call, client, started.runKey)
    : followRun(call, client, started.runKey);
}

function formatStarted({ io, stack }: Call, { runKey, isNew }: StartedRun): string {
  const what = isNew ? 'started' : 'was already started with this key';
  const ui = stack?.uiUrl ? io.paint('dim', `  ${runPage(stack.uiUrl, runKey)}`) : '';
  return `${io.paint('bold', runKey)} ${what}${ui}\n`;
}

/** One JSON document at the end. */
async function waitForResult(call: Call, client: PawlClient, runKey: string): Promise<ExitCode> {
  const interrupt = new AbortController();
  const forget = call.io.onInterrupt(() => interrupt.abort());
  try {
    const waiting = client.result(runKey, { signal: interrupt.signal });
    const finished = await call.progress(`${runKey} runs`, waiting);
    call.print(finished, () => '');
    return toExitCode(finished);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    call.io.err(formatDetached(runKey));
    return ExitCode.Interrupted;
  } finally {
    forget();
  }
}

/** Prints every event until the end, or until Ctrl-C. */
async function followRun(call: Call, client: PawlClient, runKey: string): Promise<ExitCode> {
  const { io, options } = call;
  const interrupt = new AbortController();
  const forget = io.onInterrupt(() => interrupt.abort());
  try {
    for await (const event of client.watch(runKey, { signal: interrupt.signal })) {
      io.out(options.json ? `${formatSafeJson(event)}\n` : formatEvent(io, event, new Date()));
      if (event.kind === 'finished') return toExitCode(event);
    }
    io.err(formatDetached(runKey));
    return ExitCode.Interrupted;
  } finally {
    forget();
  }
}

function formatDetached(runKey: string): string {
  return `\nDetached: the run goes on. Come back with: pawl watch ${runKey}\n`;
}

function toExitCode({ result }: Pick<FinishedRun, 'result'>): ExitCode {
  return result?.kind === 'completed' ? ExitCode.Ok : ExitCode.NotCompleted;
}

interface ListCommandOptions extends PageCommandOptions {
  readonly status?: RunStatus;
}

function addList(program: Command, toAction: ToAction): void {
  const statuses = [...Object.values(RunStatus), ...Object.values(RunEnd)];
  const command = program
    .command('list')
    .summary('the latest runs, and what waits for you')
    .description('Lists the latest runs, newest first, and what of them waits for a human.')
    .addOption(new Option('-s, --status <status>', 'only runs of this status').choices(statuses))
    .action(toAction<ListCommandOptions>(list));
  addPageOptions(command, 'runs', 20);
  addExamples(command, [
    ['pawl list', 'the latest 20'],
    ['pawl list --status waiting_approval', 'what waits for a decision'],
    ['pawl list --status stuck --json', 'for a script'],
  ]);
}

async function list(call: Call<ListCommandOptions>): Promise<void> {
  const client = await call.connect();
  const { status } = call.options;
  await printListing<RunView>(call, {
    what: 'runs',
    command: status === undefined ? 'pawl list' : `pawl list --status ${status}`,
    idOf: ({ runKey }) => runKey,
    read: (page) => client.list({ status, ...page }),
    each: (page) => client.each('runs', { status, ...page }),
    human: (runs) => formatRuns(call.io, runs, new Date()),
  });
}

function addShow(program: Command, toAction: ToAction): void {
  const command = program
    .command('show')
    .summary('everything about one run')
    .description(
      'Shows one run: status, input, calls with verdicts, effects, messages, and what to do next.',
    )
    .addArgument(runArgument())
    .option('-t, --transcript', 'also every message of the run')
    .option('--from <seq>', 'with --transcript: the first message', toCount)
    .option('--limit <count>', 'how many of each list (1000), or of the messages', toCount)
    .action(toAction<ShowCommandOptions>(show));
  addExamples(command, [
    ['pawl show latest', 'the run that was started last'],
    ['pawl show 7GQ2K9 --transcript | less', 'by the last letters of its key, with all messages'],
    ['pawl show latest -t --from 3900 --limit 20', 'a piece of a long transcript'],
    ['pawl show latest --json', 'all of it as one document'],
  ]);
}

interface ShowCommandOptions extends TranscriptOptions {
  readonly transcript?: boolean;
}

async function show(call: Call<ShowCommandOptions>): Promise<void> {
  const client = await call.connect();
  const { io, args, options } = call;
  const { transcript, from, limit } = options;
  const details = await call.progress(
    'reading the run',
    client.show(args[0] ?? '', transcript ? {} : { limit }),
  );
  if (!transcript) {
    call.print(details, () => formatRunDetails(io, details, new Date()));
    return;
  }
  const entries = client.transcript(details.run.runKey, { from, limit });
  if (options.json) return printJson(io, details, entries);
  io.out(`${formatRunDetails(io, details, new Date())}\n${io.paint('bold', 'Transcript')}\n`);
  await writeEach(io, entries, (entry) => formatEntry(io, entry));
}

/** A write for each of many short texts takes longer than the reading. */
const WRITE_LETTERS = 32_768;

async function writeEach<T>(
  io: Call['io'],
  rows: AsyncIterable<T>,
  format: (row: T) => string,
): Promise<void> {
  let held = '';
  for await (const row of rows) {
    held += format(row);
    if (held.length < WRITE_LETTERS) continue;
    await io.write(held);
    held = '';
  }
  await io.write(held);
}

/** One document, written as it is read. */
async function printJson(
  io: Call['io'],
  details: RunDetails,
  entries: AsyncIterable<TranscriptEntry>,
): Promise<void> {
  io.out(`${formatSafeJson(details, 2).slice(0, -2)},\n  "transcript": [`);
  let separator = '\n';
  await writeEach(io, entries, (entry) => {
    const text = `${separator}    ${formatSafeJson(entry)}`;
    separator = ',\n';
    return text;
  });
  io.out('\n  ]\n}\n');
}

function addWatch(program: Command, toAction: ToAction): void {
  const command = program
    .command('watch')
    .summary('follow a run to its end')
    .description(
      'Prints what has happened in a run and follows it to its end. Ctrl-C stops only the watching.\n' +
        'With --json one JSON object per line. Exit code 0: completed; 4: ended otherwise; 130: Ctrl-C.',
    )
    .addArgument(runArgument())
    .action(toAction(watch));
  addExamples(command, [
    ['pawl watch latest', 'follow the newest run'],
    ['pawl watch latest --json | jq .kind', 'one JSON object per line'],
  ]);
}

async function watch(call: Call): Promise<ExitCode> {
  const client = await call.connect();
  return followRun(call, client, await client.runKey(call.args[0] ?? ''));
}
