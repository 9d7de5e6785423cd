// pause, resume, cancel, steer: what people ask of a run that is under way.
import { Argument, type Command, InvalidArgumentError } from 'commander';
import { toMs } from '../../../domain/rules/durations.ts';
import type { PauseAnswer } from '../../control-run.ts';
import { ExitCode } from '../../errors.ts';
import type { ResumeAnswer } from '../../resume-run.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { formatEffects } from '../format/effect-format.ts';
import { formatWake } from '../format/wake-format.ts';
import { asOption, runArgument } from './run-commands.ts';

interface ByOptions {
  readonly as?: string;
}
interface PauseCommandOptions extends ByOptions {
  readonly timeout: number;
}

export function addControlCommands(program: Command, toAction: ToAction): void {
  addPause(program, toAction);
  addResume(program, toAction);
  addCancel(program, toAction);
  addSteer(program, toAction);
}

function addPause(program: Command, toAction: ToAction): void {
  const command = program
    .command('pause')
    .summary('stop a run from sending anything')
    .description(
      'Pauses a run: from now on nothing new is sent. Waits until nothing is on the wire any more.\n' +
        'Exit code 0: paused; 1: something was still on the wire when the time was up (the pause stands).',
    )
    .addArgument(runArgument())
    .option('--timeout <duration>', 'how long to wait for what is on the wire', toDuration, 60_000)
    .addOption(asOption('who asks for it'))
    .action(toAction<PauseCommandOptions>(pause));
  addExamples(command, [
    ['pawl pause latest', 'returns when nothing is on the wire'],
    ['pawl pause 7GQ2K9 --timeout 5m', 'waits longer'],
  ]);
}

function toDuration(text: string): number {
  try {
    return toMs(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

async function pause(call: Call<PauseCommandOptions>): Promise<ExitCode> {
  const client = await call.connect();
  const { as: by, timeout: timeoutMs } = call.options;
  const pausing = client.pause(call.args[0] ?? '', { by, timeoutMs });
  const answer = await call.progress(
    'nothing new is sent; waiting for what is on the wire',
    pausing,
  );
  call.print(answer, () => formatPause(call, answer));
  return answer.status === 'paused' ? ExitCode.Ok : ExitCode.Failed;
}

function formatPause({ io }: Call, { runKey, status, onWire, wake }: PauseAnswer): string {
  const text =
    status === 'paused'
      ? `${io.paint('good', 'Paused')} ${runKey}: nothing is on the wire. Go on with: pawl resume ${runKey}\n`
      : `${io.paint('warn', 'Pausing')} ${runKey}: nothing new is sent, but this is still on the wire:\n${formatEffects(io, onWire, new Date(), { hasRun: false })}`;
  return `${text}${formatWake(io, wake)}`;
}

function addResume(program: Command, toAction: ToAction): void {
  const command = program
    .command('resume')
    .summary('let a paused or stuck run go on')
    .description(
      'Lets a paused or stuck run go on from its last good state; starts one whose start was cut off. One whose workflow\n' +
        'was terminated or lost is started again from what the ledger holds: no model is asked twice, nothing is sent twice.',
    )
    .addArgument(runArgument())
    .addOption(asOption('who asks for it'))
    .action(toAction<ByOptions>(resume));
  addExamples(command, [['pawl resume latest', 'go on']]);
}

async function resume(call: Call<ByOptions>): Promise<ExitCode> {
  const client = await call.connect();
  const resuming = client.resume(call.args[0] ?? '', { by: call.options.as });
  const answer = await call.progress('resuming', resuming);
  call.print(answer, () => formatResume(call, answer));
  return answer.was === 'cancelled' ? ExitCode.Failed : ExitCode.Ok;
}

const RESUMED: Readonly<Record<ResumeAnswer['was'], string>> = {
  paused: 'it was paused',
  stuck: 'it was stuck',
  waiting: 'it was waiting for a model, which is asked now',
  'not-started': 'its workflow had never been started',
  lost: 'Temporal no longer knew it; it was started again and goes on from what the ledger holds',
  terminated:
    'its workflow had ended in Temporal; it was started again and goes on from what the ledger holds',
  cancelled:
    'it is cancelled and its workflow has ended: nothing is started, the next sweep closes it',
  nothing: 'it was neither paused nor stuck nor waiting for a model, so nothing changes',
};

function formatResume({ io }: Call, { runKey, was, wake }: ResumeAnswer): string {
  const isResumed = was !== 'nothing' && was !== 'cancelled';
  const word = isResumed ? io.paint('good', 'Resumed') : io.paint('warn', 'Not resumed');
  return `${word} ${runKey}: ${RESUMED[was]}.\n${formatWake(io, wake)}`;
}

function addCancel(program: Command, toAction: ToAction): void {
  const command = program
    .command('cancel')
    .summary('end a run: what is not sent yet never is')
    .description(
      'Cancels a run. What is not sent yet is never sent; what is on the wire is settled first, and stays done.',
    )
    .addArgument(runArgument())
    .addOption(asOption('who asks for it'))
    .action(toAction<ByOptions>(cancel));
  addExamples(command, [['pawl cancel latest --as anna', 'for the record: who did it']]);
}

async function cancel(call: Call<ByOptions>): Promise<void> {
  const client = await call.connect();
  const cancelling = client.cancel(call.args[0] ?? '', { by: call.options.as });
  const answer = await call.progress('cancelling', cancelling);
  const { runKey, wake } = answer;
  const text = `${call.io.paint('warn', 'Cancelling')} ${runKey}: what is not sent yet never is. See: pawl watch ${runKey}\n`;
  call.print(answer, () => `${text}${formatWake(call.io, wake)}`);
}

function addSteer(program: Command, toAction: ToAction): void {
  const command = program
    .command('steer')
    .summary('tell the model something before its next turn')
    .description(
      'Puts a message before the model at its next turn. It gives no permission: policy decides as before.',
    )
    .addArgument(runArgument())
    .addArgument(new Argument('<text...>', 'what to say'))
    .addOption(asOption('who says it'))
    .action(toAction<ByOptions>(steer));
  addExamples(command, [
    ['pawl steer latest "skip the invoices of ACME"', 'a correction on the way'],
  ]);
}

async function steer(call: Call<ByOptions>): Promise<void> {
  const client = await call.connect();
  const [run = '', ...words] = call.args;
  const steering = client.steer(run, words.join(' '), { by: call.options.as });
  const answer = await call.progress('steering', steering);
  const text = `Message ${answer.messageId} waits for the next turn of ${answer.runKey}.\n`;
  call.print(answer, () => `${text}${formatWake(call.io, answer.wake)}`);
}
