// What can go wrong for a user of the client: one base class, a code, a message that says what to do, an exit code.

/** What a `pawl` command exits with. */
export const ExitCode = {
  Ok: 0,
  /** The thing failed: a check of `doctor`, a replay, a pause that did not come to rest. */
  Failed: 1,
  /** Wrong usage, or a mistake such as an unknown id. */
  Usage: 2,
  /** PostgreSQL or Temporal does not answer. */
  Unreachable: 3,
  /** The watched run ended, but not as `completed`. */
  NotCompleted: 4,
  /** Ctrl-C: only the watching stopped. */
  Interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Base of every error that the client throws on purpose; `code` is stable, the message names the thing. */
export class PawlError extends Error {
  /** Holds across duplicate installs, where `instanceof` does not. */
  readonly isPawlError = true;
  /** Such as `Run.Unknown`. */
  readonly code: string;
  readonly exitCode: ExitCode;
  constructor(code: string, message: string, exitCode: ExitCode = ExitCode.Usage, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** True for every error of this file, whichever copy of the package made it. */
export function isPawlError(error: unknown): error is PawlError {
  return error instanceof Error && 'isPawlError' in error && error.isPawlError === true;
}

export class NotConfiguredError extends PawlError {
  constructor() {
    super(
      'Client.NotConfigured',
      'No database is set. Start a stack with `pawl dev` (its folder is found from here), or set DATABASE_URL=postgres://…',
      ExitCode.Unreachable,
    );
  }
}

/** Keys that are missing or do not fit, or a body that was tampered with; nothing was read or written instead. */
export class EncryptionRefusedError extends PawlError {
  constructor(code: string, message: string, cause?: unknown) {
    super(code, message, ExitCode.Failed, cause);
  }
}

export class DatabaseUnreachableError extends PawlError {
  constructor(address: string, why: string, cause?: unknown) {
    super(
      'Database.Unreachable',
      `PostgreSQL at ${address} does not answer: ${why}. Start it (\`pawl dev\` does), or correct DATABASE_URL.`,
      ExitCode.Unreachable,
      cause,
    );
  }
}

export class DatabaseNotMigratedError extends PawlError {
  constructor(address: string, missing: string, cause?: unknown) {
    super(
      'Database.NotMigrated',
      `The database at ${address} does not have Pawl's schema of this version (${missing}). ` +
        'A worker or `pawl dev` of this version migrates it at its start; or DATABASE_URL names another database.',
      ExitCode.Unreachable,
      cause,
    );
  }
}

export class DatabaseDeniedError extends PawlError {
  constructor(address: string, why: string, cause?: unknown) {
    super(
      'Database.Denied',
      `The database at ${address} refuses: ${why}. ` +
        'Use a role that is a member of `pawl_service` (see DATABASE_URL).',
      ExitCode.Unreachable,
      cause,
    );
  }
}

export class TemporalUnreachableError extends PawlError {
  constructor(address: string, why: string, cause?: unknown) {
    super(
      'Temporal.Unreachable',
      `Temporal at ${address} does not answer: ${why}. Start it (\`pawl dev\` does), or correct TEMPORAL_ADDRESS.`,
      ExitCode.Unreachable,
      cause,
    );
  }
}

export class NamespaceUnknownError extends PawlError {
  constructor(address: string, namespace: string) {
    super(
      'Temporal.NamespaceUnknown',
      `Temporal at ${address} has no namespace "${namespace}". Correct PAWL_NAMESPACE, or create it: ` +
        `temporal operator namespace create --namespace ${namespace}`,
      ExitCode.Unreachable,
    );
  }
}

/** The kinds of things that people name by id. */
export type IdKind = 'run' | 'effect' | 'approval';

const LIST_COMMANDS: Readonly<Record<IdKind, string>> = {
  run: 'pawl list',
  effect: 'pawl effects',
  approval: 'pawl approvals',
};
const FAMILIES: Readonly<Record<IdKind, string>> = {
  run: 'Run',
  effect: 'Effect',
  approval: 'Approval',
};

export class UnknownIdError extends PawlError {
  constructor(kind: IdKind, id: string, tenant: string) {
    super(
      `${FAMILIES[kind]}.Unknown`,
      `There is no ${kind} "${id}" (tenant "${tenant}"). \`${LIST_COMMANDS[kind]}\` shows what there is.`,
    );
  }
}

export class AmbiguousIdError extends PawlError {
  readonly candidates: readonly string[];
  constructor(kind: IdKind, id: string, candidates: readonly string[]) {
    super(
      'Id.Ambiguous',
      `"${id}" could be ${candidates.join(', ')}. Write more of the ${kind}'s id.`,
    );
    this.candidates = candidates;
  }
}

export class IdInvalidError extends PawlError {
  constructor(kind: IdKind, id: string, form: string) {
    super('Id.Invalid', `"${id}" does not name one ${kind}: write ${form}.`);
  }
}

export class AgentUnknownError extends PawlError {
  readonly known: readonly string[];
  constructor(name: string, known: readonly string[], taskQueue: string) {
    const advice =
      known.length > 0
        ? `Known agents: ${known.join(', ')}.`
        : `No worker has offered an agent on task queue "${taskQueue}" yet: start one (\`pawl dev\`).`;
    super('Agent.Unknown', `There is no agent "${name}". ${advice}`);
    this.known = known;
  }
}

export class AgentInputInvalidError extends PawlError {
  constructor(agent: string, problems: readonly string[], takes: string) {
    super(
      'Agent.InputInvalid',
      `The input does not match what agent "${agent}" takes: ${problems.join('; ')}. It takes ${takes}. \`pawl tools ${agent}\` prints its schema.`,
    );
  }
}

export class StartKeyTakenError extends PawlError {
  constructor(key: string, runKey: string, difference: string) {
    super(
      'Start.KeyTaken',
      `The key "${key}" already started ${runKey} with another ${difference}. Use another key, or repeat the first start exactly.`,
    );
  }
}

/** The run's row is written; only its workflow could not be started. Nothing is lost. */
export class RunNotStartedError extends PawlError {
  readonly runKey: string;
  constructor(runKey: string, why: string, cause?: unknown) {
    super(
      'Run.NotStarted',
      `${runKey} is recorded, but its workflow could not be started: ${why}. \`pawl resume ${runKey}\` starts it.`,
      ExitCode.Unreachable,
      cause,
    );
    this.runKey = runKey;
  }
}

export class HistoryMissingError extends PawlError {
  constructor(runKey: string, address: string) {
    super(
      'Run.NoHistory',
      `Temporal at ${address} has no history of ${runKey}: it was never started, or its retention is over.`,
    );
  }
}

export class RunFinishedError extends PawlError {
  constructor(runKey: string, status: string, wish: string) {
    super(
      'Run.Finished',
      `${runKey} has already ended (${status}): there is nothing left to ${wish}. See \`pawl show ${runKey}\`.`,
    );
  }
}

/** Its workflow has ended, and another one would not be sound. */
export class RunNotResumableError extends PawlError {
  constructor(runKey: string, why: string, advice: string) {
    super('Run.NotResumable', `${runKey} is not started again: ${why}. ${advice}`);
  }
}

export class NotASessionError extends PawlError {
  constructor(runKey: string) {
    super(
      'Run.NotASession',
      `${runKey} is no session: it ends with its answer. Start one with \`pawl session <agent>\`; ` +
        `to tell a run something on its way: \`pawl steer ${runKey} <text>\`.`,
      ExitCode.Usage,
    );
  }
}

export class AlreadyDecidedError extends PawlError {
  constructor(approval: string, by: string, decision: string, at: Date) {
    const word = decision === 'approve' ? 'approved' : 'denied';
    super(
      'Approval.AlreadyDecided',
      `${approval} was already ${word} by ${by} at ${at.toISOString()}: a decision is final. ` +
        'To stop what has not been sent yet, use `pawl pause` or `pawl cancel`.',
    );
  }
}

export class ApprovalExpiredError extends PawlError {
  constructor(approval: string, at: Date) {
    super(
      'Approval.Expired',
      `${approval} expired at ${at.toISOString()}: nothing was sent under it. The model is told, and may ask again.`,
    );
  }
}

export class ApprovalObsoleteError extends PawlError {
  constructor(approval: string, effect: string, status: string) {
    super(
      'Approval.Obsolete',
      `${approval} is no longer needed: ${effect} is ${status}. See \`pawl why ${effect}\`.`,
    );
  }
}

export class ApprovalChangedError extends PawlError {
  constructor(approval: string) {
    super(
      'Approval.Changed',
      `${approval} is not what was shown to you (its binding differs). Look again: \`pawl approvals\`.`,
    );
  }
}

export class SelfApprovalError extends PawlError {
  constructor(approval: string, requester: string) {
    super(
      'Approval.SelfApproval',
      `${approval} was requested by "${requester}", and the approver may not be the requester. ` +
        'Somebody else has to decide; with `--as NAME` say who you are.',
    );
  }
}

export class NotSettleableError extends PawlError {
  /** Unattended: a worker may still find the outcome, or send again, so that "it will not" is nobody's to say. */
  constructor(effect: string, status: string, isUnattended = false) {
    const why = isUnattended
      ? 'it was sent, and nobody has looked after it since. A worker still has to ask, to send it again or to put it in ' +
        'doubt, so nothing was written. Start a worker that has the encryption keys, resume its run if that is paused ' +
        '(`pawl doctor` says more), and settle it once it is in doubt.'
      : 'only a doubt or a conflict can be settled.';
    super(
      'Effect.NotInDoubt',
      `${effect} is ${status}, not in doubt: ${why} See \`pawl why ${effect}\`.`,
    );
  }
}

export class OutcomeConflictError extends PawlError {
  constructor(effect: string, status: string, outcome: string, since: Date) {
    super(
      'Effect.OutcomeConflict',
      `${effect} is ${status} (since ${since.toISOString()}), and you say ${outcome.replace('_', ' ')}: that contradicts a definite ` +
        `outcome, so nothing was written. See \`pawl why ${effect}\`. If your evidence is right, put it on record with ` +
        '--contradict: the effect becomes a conflict in `pawl doubts`.',
    );
  }
}

export class SettlementPendingError extends PawlError {
  constructor(effect: string, outcome: string, by: string, at: Date) {
    super(
      'Effect.SettlementPending',
      `${effect} was already settled as ${outcome} by ${by} at ${at.toISOString()}; the engine has not taken it up yet. ` +
        'A settlement cannot be taken back.',
    );
  }
}

/** A receiver sent another message under an id that is known: one of the two would be lost without a word. */
export class CallbackConflictError extends PawlError {
  constructor(tool: string, id: string, first: string, now: string) {
    const outcomes = first === now ? 'about another effect' : `which said ${first}, not ${now}`;
    super(
      'Callback.IdReused',
      `The message "${id}" for ${tool} is known with other content (${outcomes}): nothing was stored. ` +
        'A receiver gives each message an id of its own; ask it which of the two is true.',
    );
  }
}

/** An argument that cannot mean anything. */
/** What a run that goes on would do meanwhile could not be taken into account. */
export class RunNotEndedError extends PawlError {
  constructor(runKey: string, wish: string) {
    super(
      'Run.NotEnded',
      `${runKey} has not ended, so it cannot be ${wish} yet: \`pawl cancel ${runKey}\` ends it, or wait for its end.`,
    );
  }
}

/** Its bodies may still be needed; nothing was erased. */
export class RunNotErasableError extends PawlError {
  constructor(runKey: string, why: string, advice: string) {
    super('Run.NotErasable', `${runKey} cannot be erased: ${why}. ${advice}`);
  }
}

/** An effect of which nobody has said what becomes of it. */
export interface UndecidedEffect {
  readonly effect: string;
  readonly tool: string;
  readonly summary: string;
  readonly status: string;
}

/** Nobody has said what becomes of these effects. */
export class ForkUndecidedError extends PawlError {
  readonly undecided: readonly UndecidedEffect[];
  constructor(runKey: string, at: number, undecided: readonly UndecidedEffect[]) {
    const list = undecided.map(({ effect, summary }) => `${effect} (${summary})`).join(', ');
    super(
      'Fork.Undecided',
      `From turn ${at} on ${runKey} has done: ${list}. Say what becomes of it: --keep, --compensate, or --effect ef_…=keep for each.`,
    );
    this.undecided = undecided;
  }
}

export class ArgumentInvalidError extends PawlError {
  constructor(message: string) {
    super('Argument.Invalid', message);
  }
}
