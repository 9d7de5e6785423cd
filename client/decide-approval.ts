// Decides approvals: checks what can be checked, writes the decision row (the authority), then wakes the run.
import { ulid } from 'ulid';
import { LOCKED_TEXT, textBody } from '../activities/encryption/encryption.ts';
import { isSameName } from '../domain/rules/names.ts';
import { type ApprovalView, type DecisionView, findApproval } from './approval-views.ts';
import type { ClientContext } from './context.ts';
import {
  AlreadyDecidedError,
  ApprovalChangedError,
  ApprovalExpiredError,
  ApprovalObsoleteError,
  EncryptionRefusedError,
  RunFinishedError,
  SelfApprovalError,
  UnknownIdError,
} from './errors.ts';
import { resolveId } from './ids.ts';
import { findRun } from './run-views.ts';
import type { Wake } from './temporal.ts';

export interface DecisionOptions {
  /** Who decides; never the requester. @default the client's requester */
  readonly approver?: string | undefined;
  readonly reason?: string | undefined;
  /** The binding of the approval that was shown: a decision about anything else is refused. */
  readonly binding?: string | undefined;
}

export interface DecidedApproval {
  /** As it stands after the decision. */
  readonly approval: ApprovalView;
  readonly decision: DecisionView;
  readonly wake: Wake;
}

/** Approves or denies what `typed` names. */
export async function decideApproval(
  context: ClientContext,
  typed: string,
  decision: 'approve' | 'deny',
  options: DecisionOptions = {},
): Promise<DecidedApproval> {
  const id = await resolveId(context, 'approval', typed);
  const shown = await requireApproval(context, id);
  const approver = (options.approver ?? context.requester).trim();
  await checkDecidable(context, shown, approver, options.binding);
  if (decision === 'approve') checkReadable(shown);
  const decided = await insertDecision(context, shown, {
    decision,
    approver,
    reason: options.reason,
  });
  const wake = await context.temporal.wake(shown.workflowId, {
    name: 'decided',
    message: { v: 1, approval: id, decision: decided.id },
  });
  const status = decision === 'approve' ? 'approved' : 'denied';
  return { approval: { ...shown, status, decision: decided }, decision: decided, wake };
}

async function requireApproval(context: ClientContext, id: string): Promise<ApprovalView> {
  const approval = await findApproval(context, id);
  if (!approval) throw new UnknownIdError('approval', id, context.tenant);
  return approval;
}

async function checkDecidable(
  context: ClientContext,
  shown: ApprovalView,
  approver: string,
  binding: string | undefined,
): Promise<void> {
  if (shown.decision) throw toAlreadyDecided(shown.id, shown.decision);
  const run = await findRun(context, shown.runKey);
  if (run?.isFinished) throw new RunFinishedError(run.runKey, run.status, 'decide');
  if (shown.status === 'expired') throw new ApprovalExpiredError(shown.id, shown.expiresAt);
  if (shown.status === 'obsolete') {
    throw new ApprovalObsoleteError(shown.id, shown.effect, describeObsolete(shown));
  }
  if (isSameName(approver, shown.requester)) throw new SelfApprovalError(shown.id, shown.requester);
  if (binding !== undefined && binding !== shown.binding) throw new ApprovalChangedError(shown.id);
}

/** Nobody approves what cannot be shown. */
function checkReadable({ id, arguments: given }: ApprovalView): void {
  if (given !== LOCKED_TEXT) return;
  const why = `What ${id} asks for is encrypted, and no keys are configured here: set PAWL_ENCRYPTION_KEYS to read it first.`;
  throw new EncryptionRefusedError('Encryption.Off', why);
}

function describeObsolete({ effectStatus }: ApprovalView): string {
  const isOpen = effectStatus === null || effectStatus === 'intended';
  return isOpen ? 'asked for anew in a later approval' : effectStatus.replaceAll('_', ' ');
}

function toAlreadyDecided(id: string, { approver, decision, decidedAt }: DecisionView): Error {
  return new AlreadyDecidedError(id, approver, decision, decidedAt);
}

interface NewDecision {
  readonly decision: 'approve' | 'deny';
  readonly approver: string;
  readonly reason: string | undefined;
}

/** One decision per approval, and none after its expiry: both are checked by this statement. */
async function insertDecision(
  context: ClientContext,
  shown: ApprovalView,
  { decision, approver, reason }: NewDecision,
): Promise<DecisionView> {
  const { database, tenant } = context;
  const [decided] = await database.query<DecisionView>(
    `insert into pawl.decisions (tenant, approval_id, id, decision, approver, reason, binding)
     select $1, p.id, $3, $4, $5, $6, $7 from pawl.approvals p
     where p.tenant = $1 and p.id = $2 and p.expires_at > clock_timestamp()
     on conflict (tenant, approval_id) do nothing
     returning id, decision, approver, reason, decided_at as "decidedAt"`,
    [
      ...[tenant, shown.id, `de_${ulid()}`, decision, approver],
      textBody({ tenant, runKey: shown.runKey }, 'decisions.reason', reason ?? null),
      shown.binding,
    ],
  );
  if (decided) return decided;
  const now = await requireApproval(context, shown.id);
  if (now.decision) throw toAlreadyDecided(now.id, now.decision);
  throw new ApprovalExpiredError(now.id, now.expiresAt);
}
