// approvals, approve, deny: a human's decision about exactly what is shown.
import { Argument, type Command } from 'commander';
import type { ApprovalView } from '../../approval-views.ts';
import type { DecidedApproval } from '../../decide-approval.ts';
import { ArgumentInvalidError, ExitCode } from '../../errors.ts';
import type { PawlClient } from '../../pawl-client.ts';
import type { Call, ToAction } from '../call.ts';
import { addExamples } from '../examples.ts';
import { formatApproval, formatApprovals, formatDecision } from '../format/approval-format.ts';
import { toSafeLine } from '../format/safe-text.ts';
import { formatMoney } from '../format/values.ts';
import { formatWake } from '../format/wake-format.ts';
import { addPageOptions, type PageCommandOptions, printListing } from '../page-output.ts';
import { asOption } from './run-commands.ts';
import { osUser } from '../../settings.ts';

type Decision = 'approve' | 'deny';

interface DecideOptions {
  readonly as?: string;
  readonly reason?: string;
  readonly yes?: boolean;
}

export function addApprovalCommands(program: Command, toAction: ToAction): void {
  addApprovals(program, toAction);
  const approve = addDecision(program, toAction, 'approve');
  addExamples(approve, [
    ['pawl approve', 'choose one, see all of it, decide'],
    ['pawl approve ap_3k9v2m --as anna', 'decide at once, by the first letters of its id'],
    [
      'pawl approve 7q2k9x --as anna --reason "checked with finance"',
      'with a reason, for the record',
    ],
  ]);
  const deny = addDecision(program, toAction, 'deny');
  addExamples(deny, [
    ['pawl deny ap_3k9v2m --as anna --reason "wrong payee"', 'the model reads the reason'],
    ['pawl deny', 'choose one on a terminal'],
  ]);
}

function addApprovals(program: Command, toAction: ToAction): void {
  const command = program
    .command('approvals')
    .summary('what waits for a decision')
    .description('Lists the approvals that wait for a decision, the oldest first.')
    .option('-r, --run <run>', 'only those of one run')
    .action(toAction<ApprovalsCommandOptions>(approvals));
  addPageOptions(command, 'approvals', 50);
  addExamples(command, [
    ['pawl approvals', 'of all runs'],
    ['pawl approvals --run latest --json', 'of one run, complete, for a script'],
  ]);
}

interface ApprovalsCommandOptions extends PageCommandOptions {
  readonly run?: string;
}

async function approvals(call: Call<ApprovalsCommandOptions>): Promise<void> {
  const client = await call.connect();
  const { run } = call.options;
  await printListing<ApprovalView>(call, {
    what: 'approvals',
    command: run === undefined ? 'pawl approvals' : `pawl approvals --run ${run}`,
    idOf: ({ id }) => id,
    read: (page) => client.approvals({ run, ...page }),
    each: (page) => client.each('approvals', { run, ...page }),
    human: (pending) => formatApprovals(call.io, pending, new Date()),
  });
}

function addDecision(program: Command, toAction: ToAction, decision: Decision): Command {
  const isApprove = decision === 'approve';
  return program
    .command(decision)
    .summary(isApprove ? 'let a call through that waits' : 'refuse a call that waits')
    .description(
      isApprove
        ? 'Approves one call: final, used once, bound to exactly the tool, arguments, rule and expiry that are shown.\n' +
            'The approver may not be the requester of the run.'
        : 'Denies one call: final. The model is told, with the reason. The denier may not be the requester of the run.',
    )
    .addArgument(
      new Argument(
        '[approval]',
        'approval id, or its first or last 6+ letters; asked for on a terminal',
      ),
    )
    .option(
      '--reason <text>',
      isApprove ? 'why, for the record' : 'why: for the record, and the model reads it',
    )
    .addOption(asOption('who decides'))
    .option('-y, --yes', 'do not ask again after the choice')
    .action(toAction<DecideOptions>((call) => decide(call, decision)));
}

async function decide(call: Call<DecideOptions>, decision: Decision): Promise<ExitCode> {
  const { options } = call;
  const client = await call.connect();
  const [typed] = call.args;
  const chosen = typed === undefined ? await choose(call, client, decision) : undefined;
  if (typed === undefined && !chosen) return ExitCode.Interrupted;
  // With an id the decision is made at once; what it was about is printed all the same.
  const working = client[decision](chosen?.id ?? typed ?? '', {
    // In a development stack runs are asked for by `dev`: whoever sits here may decide about them.
    approver: options.as ?? osUser(process.env),
    reason: options.reason,
    binding: chosen?.binding,
  });
  const decided = await call.progress('deciding', working);
  call.print(decided, () => formatDecided(call, decided, chosen === undefined));
  return ExitCode.Ok;
}

function formatDecided({ io }: Call, decided: DecidedApproval, showsCard: boolean): string {
  const card = showsCard ? `${formatApproval(io, decided.approval, new Date())}\n` : '';
  const line = formatDecision(io, decided.approval, decided.decision);
  return `${card}${line}${formatWake(io, decided.wake)}`;
}

/** More than these are no choice. */
const CHOICES_MAX = 100;

/** Asks which one and shows it whole; undefined when the human turns away. */
async function choose(
  call: Call<DecideOptions>,
  client: PawlClient,
  decision: Decision,
): Promise<ApprovalView | undefined> {
  const { io, options } = call;
  if (!io.isInteractive || options.json) {
    throw new ArgumentInvalidError(
      `Which one? Without a terminal write \`pawl ${decision} APPROVAL\`; \`pawl approvals\` lists them.`,
    );
  }
  const found = await client.approvals({ limit: CHOICES_MAX + 1 });
  const pending = found.slice(0, CHOICES_MAX);
  if (found.length > CHOICES_MAX)
    io.out(`The oldest ${CHOICES_MAX} of more. All: pawl approvals --all\n`);
  if (pending.length === 0) throw new ArgumentInvalidError('Nothing waits for an approval.');
  const chosen = await ask(pending, decision);
  if (!chosen) return undefined;
  io.out(`\n${formatApproval(io, chosen, new Date())}\n`);
  return options.yes || (await confirm(chosen, decision)) ? chosen : undefined;
}

async function ask(
  pending: readonly ApprovalView[],
  decision: Decision,
): Promise<ApprovalView | undefined> {
  const prompts = await import('@clack/prompts');
  const id = await prompts.select({
    message: `Which call do you want to ${decision}?`,
    options: pending.map((approval) => ({
      value: approval.id,
      label: toSafeLine(`${approval.summary} ${formatMoney(approval.amount)}`),
      hint: toSafeLine(`${approval.id}, asked by ${approval.requester}, rule ${approval.rule}`),
    })),
  });
  return pending.find((approval) => approval.id === id);
}

async function confirm({ id }: ApprovalView, decision: Decision): Promise<boolean> {
  const prompts = await import('@clack/prompts');
  const word = decision === 'approve' ? 'Approve' : 'Deny';
  const message = `${word} ${id}, exactly as shown?`;
  return (await prompts.confirm({ message, initialValue: false })) === true;
}
