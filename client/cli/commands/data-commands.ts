// erase, gc, audit, keys: what becomes of bodies, and the proof of what was done.
import { type Command, InvalidArgumentError } from 'commander';
import { toMs } from '../../../domain/rules/durations.ts';
import { ArgumentInvalidError, ExitCode } from '../../errors.ts';
import type { EraseTarget } from '../../erase-run.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import {
  formatAudit,
  formatErasure,
  formatGarbage,
  formatRotation,
} from '../format/data-format.ts';
import { formatCount } from '../format/values.ts';
import { asOption } from './run-commands.ts';

export function addDataCommands(program: Command, toAction: ToAction): void {
  addErase(program, toAction);
  addGarbage(program, toAction);
  addAudit(program, toAction);
  addKeys(program, toAction);
}

interface EraseCommandOptions {
  readonly subject?: string;
  readonly reason: string;
  readonly as?: string;
}

function addErase(program: Command, toAction: ToAction): void {
  const command = program
    .command('erase')
    .summary('take all bodies of a run away, for good')
    .description(
      'Erases a run that has ended: prompts, arguments, results, messages, its data key, and its history in Temporal.\n' +
        'What was done, when, and under which key of the receiver stays on record, and `pawl audit verify` stays green.\n' +
        'Refused while a run is live or an effect is open or in doubt. Backups keep what they hold until they expire.',
    )
    .argument('[run]', 'run key, or 6+ letters of it')
    .option('--subject <pseudonym>', 'all runs that were started with this `--subject`')
    .requiredOption('--reason <text>', 'why: stays on record')
    .addOption(asOption('who erases'))
    .action(toAction<EraseCommandOptions>(erase));
  addExamples(command, [
    ['pawl erase 7GQ2K9 --reason "request 4711"', 'one run'],
    ['pawl erase --subject customer-88 --reason "request 4711"', 'all runs about somebody'],
  ]);
}

async function erase(call: Call<EraseCommandOptions>): Promise<ExitCode> {
  const { subject, reason, as: by } = call.options;
  const [run] = call.args;
  if ((run === undefined) === (subject === undefined)) {
    throw new ArgumentInvalidError('Name a run, or a --subject: one of the two.');
  }
  const target: EraseTarget = run === undefined ? { subject: subject ?? '' } : { run };
  const client = await call.connect();
  const answer = await call.progress('erasing', client.erase(target, { reason, by }));
  call.print(answer, () => formatErasure(call.io, answer));
  const isWhole = answer.runs.every(({ histories }) => histories !== null);
  return isWhole ? ExitCode.Ok : ExitCode.Failed;
}

interface GarbageCommandOptions {
  readonly dryRun?: boolean;
  readonly olderThan: number;
  readonly as?: string;
}

function addGarbage(program: Command, toAction: ToAction): void {
  const command = program
    .command('gc')
    .summary('take bodies of runs away that ended long ago')
    .description(
      'Takes the bodies of runs away that ended before the given age. Never of a run that is live or has a live relative,\n' +
        "that Temporal can still reset (its namespace's retention), or that has an effect open or in doubt. Cut off anywhere,\n" +
        'it goes on when it is called again.',
    )
    .option('--older-than <duration>', 'since the end of the run', toDuration, 30 * 86_400_000)
    .option('--dry-run', 'count only')
    .addOption(asOption('who collects'))
    .action(toAction<GarbageCommandOptions>(collect));
  addExamples(command, [
    ['pawl gc --dry-run', 'how much would go (default: 30d)'],
    ['pawl gc --older-than 90d', 'in a daily job'],
  ]);
}

async function collect(call: Call<GarbageCommandOptions>): Promise<ExitCode> {
  const { olderThan: olderThanMs, dryRun, as: by } = call.options;
  const client = await call.connect();
  let collected = 0;
  const onProgress = (runs: number): void => void (collected = runs);
  const label = (): string => `collecting: ${formatCount(collected)} runs`;
  const { isCut, value: report } = await untilInterrupted(call, (signal) =>
    call.progress(label, client.collectGarbage({ olderThanMs, dryRun, by, onProgress, signal })),
  );
  call.print(report, () => formatGarbage(report));
  return isCut ? ExitCode.Interrupted : ExitCode.Ok;
}

/** Ctrl-C ends the work behind the step at hand, and says so; a second one ends the process. */
async function untilInterrupted<T>(
  { io }: Call,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ readonly isCut: boolean; readonly value: T }> {
  const interrupt = new AbortController();
  const forget = io.onInterrupt(() => {
    forget();
    interrupt.abort();
  });
  try {
    const value = await work(interrupt.signal);
    const isCut = interrupt.signal.aborted;
    if (isCut) io.err('Stopped. What is done is done: repeat the command to go on.\n');
    return { isCut, value };
  } finally {
    forget();
  }
}

function addAudit(program: Command, toAction: ToAction): void {
  const audit = program
    .command('audit')
    .summary('prove that the record was not changed')
    .description('Checks what the ledger says of itself.');
  addExamples(audit, [['pawl audit verify', 'all runs']]);
  const verify = audit
    .command('verify')
    .summary('recompute chains, commitments, folds and bindings')
    .description(
      'Recomputes what the ledger says of itself: the hash chain of every transcript, the commitments to bodies, the state of\n' +
        'effects from their facts, and what decisions were bound to. Exit code 0: intact; 1: something was changed.',
    )
    .argument('[run]', 'only this run')
    .action(toAction(verifyAudit));
  addExamples(verify, [
    ['pawl audit verify', 'all runs'],
    ['pawl audit verify 7GQ2K9 --json', 'one, as JSON'],
  ]);
}

async function verifyAudit(call: Call): Promise<ExitCode> {
  const client = await call.connect();
  let seen = 0;
  const onProgress = (runs: number): void => void (seen = runs);
  const verifying = client.verifyAudit({ run: call.args[0], onProgress });
  const report = await call.progress(() => `verifying: ${formatCount(seen)} runs`, verifying);
  call.print(report, () => formatAudit(call.io, report));
  return report.isIntact ? ExitCode.Ok : ExitCode.Failed;
}

function addKeys(program: Command, toAction: ToAction): void {
  const keys = program
    .command('keys')
    .summary('the keys that wrap data keys')
    .description('Key-encryption keys: PAWL_ENCRYPTION_KEYS, the current one first.');
  addExamples(keys, [['pawl keys rotate', 'after all workers have the new key first']]);
  const rotate = keys
    .command('rotate')
    .summary('wrap all data keys with the current key')
    .description(
      'Wraps the data key of every run anew with the first key of PAWL_ENCRYPTION_KEYS. Bodies are not touched. Keep the old\n' +
        "key configured until Temporal's retention has passed: histories name it, too.",
    )
    .action(toAction(rotateKeys));
  addExamples(rotate, [
    ['PAWL_ENCRYPTION_KEYS="k2:…,k1:…" pawl keys rotate', 'after all workers have k2 first'],
  ]);
}

async function rotateKeys(call: Call): Promise<ExitCode> {
  const client = await call.connect();
  let done = 0;
  const onProgress = (rewrapped: number): void => void (done = rewrapped);
  const label = (): string => `wrapping: ${formatCount(done)} keys`;
  const { isCut, value: report } = await untilInterrupted(call, (signal) =>
    call.progress(label, client.rotateKeys({ onProgress, signal })),
  );
  call.print(report, () => formatRotation(report));
  if (isCut) return ExitCode.Interrupted;
  return report.remaining === 0 ? ExitCode.Ok : ExitCode.Failed;
}

function toDuration(text: string): number {
  try {
    return toMs(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
