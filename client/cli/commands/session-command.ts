// session: talking to an agent. Whatever ends the talking, Ctrl-C included, the session goes on until it is ended.
import { Argument, type Command } from 'commander';
import { isRunKey } from '../../../domain/rules/ids.ts';
import { ExitCode } from '../../errors.ts';
import type { PawlClient } from '../../pawl-client.ts';
import type { Reply } from '../../session.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { formatSafeJson, toSafeText } from '../format/safe-text.ts';
import { formatStatus } from '../format/values.ts';
import { readJsonArgument } from '../input-argument.ts';
import { asOption } from './run-commands.ts';

interface SessionOptions {
  readonly input?: string;
  readonly key?: string;
  readonly say?: string;
  readonly end?: boolean;
  readonly as?: string;
}

type SessionCall = Call<SessionOptions>;

interface Talk {
  readonly call: SessionCall;
  readonly client: PawlClient;
  readonly runKey: string;
  readonly signal: AbortSignal;
}

export function addSessionCommand(program: Command, toAction: ToAction): void {
  const command = program
    .command('session')
    .summary('talk to an agent: a run that waits for you between turns')
    .description(
      'Starts a session of an agent, or goes on with one. Each line that you write is answered; lines from a pipe are\n' +
        'answered in order. Ctrl-C and Ctrl-D leave the session as it is: come back any time, after any crash.\n' +
        'With --json one object per answer. Exit code 0: answered; 4: the session ended otherwise; 130: Ctrl-C.',
    )
    .addArgument(new Argument('<agent|session>', 'name of an agent, or a run key, or `latest`'))
    .option('-i, --input <json>', 'the first words, as JSON, @file or -; else the first line')
    .option('-k, --key <key>', 'the same key starts the same session, however often')
    .option('-s, --say <text>', 'say this, print the answer and leave')
    .option('--end', 'end the session when everything said is answered')
    .addOption(asOption('who talks: may not approve what is asked for'))
    .action(toAction<SessionOptions>(session));
  addExamples(command, [
    ['pawl session support', 'start one and talk'],
    ['pawl session latest', 'come back to it'],
    [`pawl session support --input '{"ticket":"T-7"}' --key T-7`, 'start at most once'],
    ['pawl session latest --say "and the invoice?" --json | jq -r .text', 'for a script'],
    ['pawl session latest --end', 'say good-bye: the run completes'],
  ]);
}

async function session(call: SessionCall): Promise<ExitCode> {
  const interrupt = new AbortController();
  const forget = call.io.onInterrupt(() => interrupt.abort());
  try {
    return await talk(call, await call.connect(), interrupt.signal);
  } finally {
    forget();
  }
}

async function talk(call: SessionCall, client: PawlClient, signal: AbortSignal): Promise<ExitCode> {
  const lines = sayings(call);
  try {
    return await talkIn(call, client, lines, signal);
  } finally {
    // Whatever ended the talking: an open stdin would keep the process.
    await lines.return(undefined);
  }
}

async function talkIn(
  call: SessionCall,
  client: PawlClient,
  lines: AsyncIterator<string>,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { options, io } = call;
  const { runKey, isNew } = await openSession(call, client, lines);
  const it: Talk = { call, client, runKey, signal };
  try {
    if (isNew && !printReply(it, await awaitReply(it))) return ExitCode.NotCompleted;
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      const { messageId } = await client.say(runKey, next.value, { by: options.as });
      if (!printReply(it, await awaitReply(it, messageId))) return ExitCode.NotCompleted;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (options.end && !signal.aborted) return end(it);
  if (!options.json && !options.say) io.err(`\nThe session goes on: pawl session ${runKey}\n`);
  return signal.aborted ? ExitCode.Interrupted : ExitCode.Ok;
}

/** What is said, in order: `--say`, or the lines of stdin; nothing when the session is only to be ended. */
async function* sayings({ io, options }: SessionCall): AsyncGenerator<string, undefined> {
  if (options.say !== undefined) yield options.say;
  else if (!options.end) {
    for await (const line of io.readLines(io.paint('bold', '> '))) if (line.trim()) yield line;
  }
  return undefined;
}

async function openSession(
  call: SessionCall,
  client: PawlClient,
  lines: AsyncIterator<string>,
): Promise<{ readonly runKey: string; readonly isNew: boolean }> {
  const { io, options, args } = call;
  const [name = ''] = args;
  if (name === 'latest' || isRunKey(name))
    return { runKey: await client.runKey(name), isNew: false };
  // Before anybody has typed a word to it.
  await client.requireAgent(name);
  const input =
    options.input === undefined
      ? ((await lines.next()).value ?? '')
      : await readJsonArgument(io, '--input', options.input);
  const { key, as: requester } = options;
  const start = client.start(name, input, { key, requester, session: true });
  const started = await call.progress('starting the session', start);
  if (!options.json) io.err(io.paintError('dim', `session ${started.runKey}\n`));
  return started;
}

/** Waits, and says what it waits for when that is a human. */
function awaitReply({ call, client, runKey, signal }: Talk, messageId?: string): Promise<Reply> {
  const { io } = call;
  let status = 'running';
  const reply = client.reply(runKey, {
    messageId,
    signal,
    onStatus: (changed) => {
      status = formatStatus(changed);
      if (changed !== 'waiting_approval' && changed !== 'in_doubt' && changed !== 'stuck') return;
      io.err(`${io.paintError('warn', status)}: pawl show ${runKey}\n`);
    },
  });
  return call.progress(() => status, reply);
}

/** False when the session has ended without an answer. */
function printReply({ call, runKey }: Talk, reply: Reply): boolean {
  const { io, options } = call;
  if (options.json) io.out(`${formatSafeJson(reply)}\n`);
  else if (reply.turn !== null) io.out(`${toSafeText(reply.text)}\n`);
  else {
    const how = reply.result?.reason ?? reply.result?.kind ?? 'ended';
    io.err(`${io.paintError('warn', 'The session has ended')}: ${how}. See: pawl show ${runKey}\n`);
  }
  return reply.turn !== null;
}

async function end({ call, client, runKey, signal }: Talk): Promise<ExitCode> {
  await client.endSession(runKey, { by: call.options.as });
  const { result } = await call.progress('ending', client.result(runKey, { signal }));
  if (!call.options.json) call.io.err(`The session has ended: ${result?.kind ?? 'unknown'}\n`);
  return result?.kind === 'completed' ? ExitCode.Ok : ExitCode.NotCompleted;
}
