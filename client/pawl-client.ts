// PawlClient: what people and services ask of Pawl. It writes wishes as rows; only the engine changes an effect.
import { toKeys } from '../activities/encryption/encryption.ts';
import { type AgentView, listAgents, requireAgent } from './agents.ts';
import { type ApprovalView, listApprovals } from './approval-views.ts';
import { type ApprovalsOptions, eachListed, type EffectsOptions, type Listed } from './listings.ts';
import type { PageOptions } from './pages.ts';
import { checkArguments } from './check-arguments.ts';
import { type CallbackAnswer, type CallbackMessage, receiveCallback } from './callbacks.ts';
import { type AuditOptions, type AuditReport, verifyAudit } from './audit-run.ts';
import { collectGarbage, type GarbageOptions, type GarbageReport } from './collect-garbage.ts';
import type { ClientContext } from './context.ts';
import {
  cancelRun,
  type ControlAnswer,
  type ControlOptions,
  type PauseAnswer,
  type PauseOptions,
  pauseRun,
  type SteerAnswer,
  steerRun,
} from './control-run.ts';
import { type CompensatedRun, type CompensateRunOptions, compensateRun } from './compensate-run.ts';
import { openDatabase } from './database.ts';
import { type DecidedApproval, type DecisionOptions, decideApproval } from './decide-approval.ts';
import { type EffectView, listEffects } from './effect-views.ts';
import { DatabaseNotMigratedError } from './errors.ts';
import { type EraseAnswer, type EraseOptions, eraseRuns, type EraseTarget } from './erase-run.ts';
import { type EffectExplanation, explainEffect } from './explain-effect.ts';
import { type ForkedRun, type ForkOptions, forkRun } from './fork-run.ts';
import { diagnose, type HealthReport } from './health.ts';
import { resolveRunKey } from './ids.ts';
import {
  type ReconcileOptions,
  type ReconcileReport,
  reconcileStatement,
} from './reconcile-statement.ts';
import { streamTranscript, type TranscriptOptions } from './read-transcript.ts';
import { type ResumeAnswer, resumeRun } from './resume-run.ts';
import { rotateKeys, type RotateOptions, type RotationReport } from './rotate-keys.ts';
import type { RunEvent } from './run-events.ts';
import { type ListOptions, listRuns } from './run-list.ts';
import {
  type RunDetails,
  type RunView,
  type ShowOptions,
  showRun,
  type TranscriptEntry,
} from './run-views.ts';
import { type ClientOptions, resolveSettings } from './settings.ts';
import { awaitReply, endSession, type Reply, type ReplyOptions, say } from './session.ts';
import { settleEffect, type SettleAnswer, type SettleOptions } from './settle-effect.ts';
import { type StartedRun, type StartOptions, startRun } from './start-run.ts';
import { listStuckRuns, type StuckRunView } from './stuck-runs.ts';
import { createTemporal } from './temporal.ts';
import { awaitResult, type FinishedRun, type WatchOptions, watchRun } from './watch-run.ts';

/** Ids may be shortened everywhere: a unique beginning or end of at least six letters; `latest` for a run. */
export class PawlClient {
  readonly #context: ClientContext;

  private constructor(context: ClientContext) {
    this.#context = context;
  }

  /** Opens a client without asking anything of the servers: for `doctor`. */
  static open(options: ClientOptions = {}): PawlClient {
    const settings = resolveSettings(options);
    const { temporalAddress, namespace, tenant, taskQueue, requester } = settings;
    const keys = toKeys(settings.encryptionKeys);
    const mode = settings.plaintext === 'accept' ? 'transition' : 'own';
    return new PawlClient({
      database: openDatabase(settings.databaseUrl, keys),
      temporal: createTemporal(temporalAddress, namespace, keys && { keys, tenant, mode }),
      keys,
      tenant,
      taskQueue,
      requester,
    });
  }

  /**
   * Opens a client and checks that the database is there and migrated. Temporal is asked only when it is needed: reading
   * works without it. Throws NotConfiguredError, DatabaseUnreachableError, DatabaseNotMigratedError.
   */
  static async connect(options: ClientOptions = {}): Promise<PawlClient> {
    const client = PawlClient.open(options);
    try {
      await client.#checkSchema();
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  async #checkSchema(): Promise<void> {
    const { database } = this.#context;
    const [row] = await database.query<{ runs: string | null }>(
      "select to_regclass('pawl.runs')::text as runs",
    );
    if (!row?.runs) throw new DatabaseNotMigratedError(database.address, 'pawl.runs is missing');
  }

  /**
   * Starts a run of an agent that a worker offers. The row comes first: with a `key`, a start that was cut off in between
   * is finished by repeating it. Throws AgentUnknownError, AgentInputInvalidError, StartKeyTakenError,
   * RunNotStartedError, TemporalUnreachableError.
   */
  async start(agentName: string, input: unknown, options?: StartOptions): Promise<StartedRun> {
    checkArguments('start', { ...options, agent: agentName, input });
    return startRun(this.#context, agentName, input, options);
  }

  /** The latest runs, newest first. @default 20 of them */
  async list(options?: ListOptions): Promise<RunView[]> {
    checkArguments('list', { ...options });
    return listRuns(this.#context, options);
  }

  /** Everything about one run. Throws UnknownIdError, AmbiguousIdError. */
  async show(run: string, options?: ShowOptions): Promise<RunDetails> {
    checkArguments('show', { ...options, run });
    return showRun(this.#context, run, options);
  }

  /** The messages of a run in order, read page by page. Throws ArgumentInvalidError, UnknownIdError, AmbiguousIdError. */
  async *transcript(
    run: string,
    options?: TranscriptOptions,
  ): AsyncGenerator<TranscriptEntry, void> {
    checkArguments('transcript', { ...options, run });
    yield* streamTranscript(this.#context, run, options);
  }

  /** The full run key of a short one, or of `latest`. Throws UnknownIdError, AmbiguousIdError. */
  async runKey(run: string): Promise<string> {
    checkArguments('runKey', { run });
    return resolveRunKey(this.#context, run);
  }

  /** Waits until the run has finished. Rejects with the signal's reason when it is aborted. */
  async result(run: string, options?: WatchOptions): Promise<FinishedRun> {
    checkArguments('result', { ...options, run });
    return awaitResult(this.#context, run, options);
  }

  /** Everything that has happened, then every change until the run has finished. */
  async *watch(run: string, options?: WatchOptions): AsyncGenerator<RunEvent, void, undefined> {
    checkArguments('watch', { ...options, run });
    yield* watchRun(this.#context, run, options);
  }

  /**
   * Decides a turn of an ended run anew, in a new run that knows everything before it. What was done from that turn on is
   * kept or undone as told. Throws ForkUndecidedError, RunNotEndedError, ArgumentInvalidError, UnknownIdError.
   */
  async fork(run: string, options?: ForkOptions): Promise<ForkedRun> {
    checkArguments('fork', { ...options, run });
    return forkRun(this.#context, run, options);
  }

  /**
   * Undoes the effects of an ended run, the last first, by their tools' `compensate`; waits for its end, doubts included.
   * Repeating it undoes nothing twice. Throws RunNotEndedError, ArgumentInvalidError, UnknownIdError.
   */
  async compensate(run: string, options?: CompensateRunOptions): Promise<CompensatedRun> {
    checkArguments('compensate', { ...options, run });
    return compensateRun(this.#context, run, options);
  }

  /** Approvals that wait for a human, the oldest first. @default limit 1000 */
  async approvals(options: ApprovalsOptions = {}): Promise<ApprovalView[]> {
    checkArguments('approvals', options);
    const { run, limit, after } = options;
    const runKey = run === undefined ? undefined : await resolveRunKey(this.#context, run);
    return listApprovals(this.#context, { runKey, isPending: true, limit, after });
  }

  /**
   * Approves: final, single use, bound to what was shown. Throws UnknownIdError, AlreadyDecidedError,
   * ApprovalExpiredError, ApprovalObsoleteError, ApprovalChangedError, RunFinishedError, SelfApprovalError.
   */
  async approve(approval: string, options?: DecisionOptions): Promise<DecidedApproval> {
    checkArguments('approve', { ...options, approval });
    return decideApproval(this.#context, approval, 'approve', options);
  }

  /** Denies; the model is told, with the reason. Throws as `approve` does. */
  async deny(approval: string, options?: DecisionOptions): Promise<DecidedApproval> {
    checkArguments('deny', { ...options, approval });
    return decideApproval(this.#context, approval, 'deny', options);
  }

  /** Stops sending at once and waits until nothing is on the wire. Throws RunFinishedError. */
  async pause(run: string, options?: PauseOptions): Promise<PauseAnswer> {
    checkArguments('pause', { ...options, run });
    return pauseRun(this.#context, run, options);
  }

  /**
   * Takes a paused or stuck run up again; starts one whose workflow was terminated or lost again, from what the ledger
   * holds: no model is asked twice, nothing is sent twice. Throws RunFinishedError, RunNotResumableError.
   */
  async resume(run: string, options?: ControlOptions): Promise<ResumeAnswer> {
    checkArguments('resume', { ...options, run });
    return resumeRun(this.#context, run, options);
  }

  /** Ends the run: what is not sent yet never is. Throws RunFinishedError. */
  async cancel(run: string, options?: ControlOptions): Promise<ControlAnswer> {
    checkArguments('cancel', { ...options, run });
    return cancelRun(this.#context, run, options);
  }

  /** Tells the model something before its next turn. Throws RunFinishedError. */
  async steer(run: string, text: string, options?: ControlOptions): Promise<SteerAnswer> {
    checkArguments('steer', { ...options, run, text });
    return steerRun(this.#context, run, text, options);
  }

  /**
   * Says something to a session (a run started with `session: true`): it is answered once, in order. Throws
   * NotASessionError, RunFinishedError.
   */
  async say(session: string, text: string, options?: ControlOptions): Promise<SteerAnswer> {
    checkArguments('say', { ...options, session, text });
    return say(this.#context, session, text, options);
  }

  /** Waits for a session's answer to a message, or to its input when none is named. */
  async reply(session: string, options?: ReplyOptions): Promise<Reply> {
    checkArguments('reply', { ...options, session });
    return awaitReply(this.#context, session, options);
  }

  /** Ends a session once everything that was said is answered. Throws NotASessionError, RunFinishedError. */
  async endSession(session: string, options?: ControlOptions): Promise<ControlAnswer> {
    checkArguments('endSession', { ...options, session });
    return endSession(this.#context, session, options);
  }

  /** Effects: those of one run in the order of its calls, else the newest first. @default limit 1000 */
  async effects(options: EffectsOptions = {}): Promise<EffectView[]> {
    checkArguments('effects', options);
    const { run, status, limit, after } = options;
    const runKey = run === undefined ? undefined : await resolveRunKey(this.#context, run);
    return listEffects(this.#context, { runKey, status, limit, after });
  }

  /**
   * Effects that a human has to look at, the oldest first: in doubt, or with facts that contradict each other.
   * @default limit 1000
   */
  async doubts(options: PageOptions = {}): Promise<EffectView[]> {
    checkArguments('doubts', options);
    return listEffects(this.#context, { isDoubt: true, ...options });
  }

  /**
   * Runs that are parked until a human has repaired something, the longest stuck first, each with its cause and what to do.
   * @default limit 1000
   */
  async stuckRuns(options: PageOptions = {}): Promise<StuckRunView[]> {
    checkArguments('stuckRuns', options);
    return listStuckRuns(this.#context, options);
  }

  /** All rows of a list, in its order, read page by page: 500 of them are held at once. @default limit all */
  each<Kind extends keyof Listed>(
    kind: Kind,
    options: Listed[Kind]['options'] = {},
  ): AsyncGenerator<Listed[Kind]['row'], void, undefined> {
    checkArguments('each', { kind, ...options });
    return eachListed(this, kind, options);
  }

  /**
   * Settles a doubt, a conflict, or what a receiver has accepted and not answered yet. Throws NotSettleableError, OutcomeConflictError, SettlementPendingError, UnknownIdError,
   * ArgumentInvalidError without evidence.
   */
  async settle(effect: string, options: SettleOptions): Promise<SettleAnswer> {
    checkArguments('settle', { ...options, effect });
    return settleEffect(this.#context, effect, options);
  }

  /**
   * Takes what a receiver that has accepted an effect says of it later; `createCallbackHandler` is its HTTP side. You have
   * verified who says it. Stored once per id, also before its effect is known; never against what is recorded: what
   * contradicts becomes a conflict. Throws ArgumentInvalidError, CallbackConflictError.
   */
  async receiveCallback(message: CallbackMessage): Promise<CallbackAnswer> {
    checkArguments('receiveCallback', message);
    return receiveCallback(this.#context, message);
  }

  /** Everything that led to an effect. Throws UnknownIdError, AmbiguousIdError. */
  async why(effect: string): Promise<EffectExplanation> {
    checkArguments('why', { effect });
    return explainEffect(this.#context, effect);
  }

  /**
   * Compares a receiver's statement with the effects of the tools that write to it, in both directions. It changes nothing;
   * each finding says what to do. Throws ArgumentInvalidError.
   */
  async reconcileStatement(options: ReconcileOptions): Promise<ReconcileReport> {
    checkArguments('reconcileStatement', options);
    return reconcileStatement(this.#context, options);
  }

  /**
   * Takes every body of an ended run (and of the runs that its model asked for), or of all runs about a subject, away: rows,
   * data keys, Temporal's histories. What was done, when and under which key of the receiver stays, and the audit verifies.
   * Repeating it finishes what was cut off. Throws RunNotErasableError while a run is live or an effect is open or in
   * doubt, ArgumentInvalidError without a reason, UnknownIdError.
   */
  async erase(target: EraseTarget, options: EraseOptions): Promise<EraseAnswer> {
    checkArguments('erase', { ...options, ...target });
    return eraseRuns(this.#context, target, options);
  }

  /** Recomputes the hash chains, commitments, folds and bindings of one run or all; problems are in the report. */
  async verifyAudit(options?: AuditOptions): Promise<AuditReport> {
    checkArguments('verifyAudit', { ...options });
    return verifyAudit(this.#context, options);
  }

  /**
   * Takes the bodies of runs away that ended long ago. Never of a run that is live or has a live relative, that Temporal can
   * still reset, or that has an effect open or in doubt. Throws TemporalUnreachableError: its retention has to be known.
   */
  async collectGarbage(options?: GarbageOptions): Promise<GarbageReport> {
    checkArguments('collectGarbage', { ...options });
    return collectGarbage(this.#context, options);
  }

  /** Wraps every data key anew with the current key. Throws EncryptionRefusedError for a key that is not configured. */
  rotateKeys(options?: RotateOptions): Promise<RotationReport> {
    return rotateKeys(this.#context, options);
  }

  /** Agents and tools that workers offer, with the contract that was derived for each. */
  tools(): Promise<AgentView[]> {
    return listAgents(this.#context);
  }

  /** What a worker offers under this name. Throws AgentUnknownError, which names those that there are. */
  async requireAgent(name: string): Promise<AgentView> {
    checkArguments('requireAgent', { name });
    return requireAgent(this.#context, name);
  }

  /** Checks everything that a run needs; problems are in the report, not thrown. */
  doctor(): Promise<HealthReport> {
    return diagnose(this.#context);
  }

  /** The history of a run's workflow as Temporal has it now: for `replay`. Throws TemporalUnreachableError. */
  async history(run: string): Promise<{ readonly runKey: string; readonly history: unknown }> {
    checkArguments('history', { run });
    const runKey = await resolveRunKey(this.#context, run);
    return { runKey, history: await this.#context.temporal.fetchHistory(runKey) };
  }

  async close(): Promise<void> {
    await Promise.all([this.#context.database.close(), this.#context.temporal.close()]);
  }
}
