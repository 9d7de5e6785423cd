// The effect engine: carries out the one legal next move of an effect until its outcome is known or it must wait.
import { ApplicationFailure } from '@temporalio/common';
import type { Fact } from '../../domain/rules/effect.ts';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import { nextMove } from '../../domain/rules/next-move.ts';
import { refuseClaim } from '../../domain/rules/permit.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { LedgerUnavailable } from '../ledger/database.ts';
import {
  type AppendAnswer,
  type BeginAnswer,
  type EffectIntent,
  type EffectRecord,
  type FactEntry,
  toView,
  type Warrant,
} from '../ledger/effect-ledger.ts';
import { unbacked } from '../ledger/unbacked.ts';
import { PolicyUnavailableError } from '../policy/policy.ts';
import { systemClock } from '../clock.ts';
import { attemptSend, isOfAttempt, type SendAnswer } from './attempt-send.ts';
import { attemptTransaction, type TransactionAnswer } from './attempt-transaction.ts';
import {
  AttemptGivenUp,
  type EffectJob,
  type EngineDeps,
  neverGivenUp,
  strayOf,
} from './effect-job.ts';
import { append, appendOrCarry, recorded, recordedOutcome } from './effect-outcomes.ts';
import { NOT_REACHED } from './egress.ts';
import { LOOK_PAUSE_MS, retryLater, waitForReceiver, waitUntil } from './effect-waits.ts';
import { passGate } from './gate.ts';
import { isRefusedAddress } from './never-connected.ts';
import { probeOnce } from './probe.ts';
import { factOfUnsent } from './read-outcome.ts';
import { sendUnlooked, wordOn } from './send-unlooked.ts';
import { InputInvalid } from './tool-run.ts';

export type { EffectJob, EngineDeps };

export interface EffectEngine {
  /** Throws an `ApplicationFailure` when the same activity must try again later. */
  perform(job: EffectJob): Promise<EffectOutcome>;
}

/** @default clock the machine's own */
export type EngineOptions = Omit<EngineDeps, 'clock'> & Partial<Pick<EngineDeps, 'clock'>>;

export function createEffectEngine(options: EngineOptions): EffectEngine {
  const deps: EngineDeps = { clock: systemClock, ...options };
  return {
    async perform(job) {
      try {
        return await perform(deps, job);
      } catch (error) {
        if (error instanceof LedgerUnavailable) {
          throw retryLater(deps, job, FailureType.LedgerUnavailable, error.message);
        }
        if (error instanceof AttemptGivenUp) {
          throw retryLater(deps, job, FailureType.EffectNotSent, error.message);
        }
        // No verdict, no effect: the policy is asked again at the next attempt.
        if (error instanceof PolicyUnavailableError) {
          throw retryLater(deps, job, FailureType.PolicyUnavailable, error.message);
        }
        throw error;
      }
    },
  };
}

async function perform(deps: EngineDeps, job: EffectJob): Promise<EffectOutcome> {
  let probes = 0;
  let unlooked = await sendUnlooked(deps, job);
  const sent =
    unlooked?.answer.kind === 'observed'
      ? await readAnswer(deps, job, unlooked.record, unlooked.answer)
      : undefined;
  if (sent) return sent;
  for (let looks = 1; ; looks += 1) {
    const begin = await look(deps, job, looks === 1);
    const { record } = begin;
    const move = nextMove(toView(record), begin.nowMs);
    switch (move.kind) {
      case 'return':
        return recordedOutcome(record, begin.seq);
      case 'wait':
        if (record.state.isPending) return recordedOutcome(record, begin.seq);
        await waitUntil(
          deps,
          move.untilMs - begin.nowMs,
          job,
          `${record.shortId} may still be under way`,
        );
        break;
      case 'doubt': {
        await deps.crash('before-doubt', job.tool.name);
        const fact = { kind: 'doubted', reason: move.reason } as const;
        const doubted = await conclude(deps, job, record, { fact });
        if (doubted) return doubted;
        break;
      }
      case 'probe': {
        if (probes > 0) await deps.clock.sleep(LOOK_PAUSE_MS);
        probes += 1;
        const probed = await probeOnce(deps, job.tool, record, begin.nowMs);
        // One look a time: what waits for a human or for the receiver is waited for durably, not here.
        if (record.state.status === 'in_doubt' || record.state.isPending) {
          return recorded(await lookAgain(deps, job));
        }
        await waitForReceiver(deps, job, probed, begin.nowMs);
        break;
      }
      case 'send':
      case 'resend': {
        const way = { isFirst: move.kind === 'send', said: wordOn(record, unlooked), looks };
        unlooked = undefined;
        const outcome = await send(deps, job, begin, way);
        if (outcome) return outcome;
      }
    }
  }
}

/** Reads the effect, storing its intent first where nobody has, and refuses a ledger that has lost time. */
async function look(deps: EngineDeps, job: EffectJob, isFirst = false): Promise<BeginAnswer> {
  const begin = await beginOrIntend(deps, job, isFirst);
  // An intent is not stored under the key of an agent's run: there only model steps intend.
  if (!begin && job.intent) throw unbacked('step', `${job.intent.runKey} is an agent's run`);
  const stray = begin && strayOf(job, begin.record);
  if (stray) throw unbacked('effect', `the ${stray} of ${begin.record.shortId} is another`);
  if (!begin || begin.seq < job.seqSeen) {
    throw ApplicationFailure.nonRetryable(
      `The ledger is older than this run: it has seen sequence ${job.seqSeen}, the ledger holds ` +
        `${begin?.seq ?? 'no such effect'}. Nothing was sent. Restore the ledger, or settle by hand.`,
      FailureType.LedgerRolledBack,
    );
  }
  if (job.intent && !isSameIntent(begin.record, job.intent, job.olderFingerprint)) {
    throw ApplicationFailure.nonRetryable(
      `${begin.record.shortId} (${job.tool.name}) was intended with other arguments: ` +
        'two steps share an id, or the arguments changed between two executions. Give each step its own name.',
      FailureType.EffectArgumentsDiffer,
    );
  }
  return begin;
}

function isSameIntent(
  { fingerprint }: EffectRecord,
  intent: EffectIntent,
  olderFingerprint: string | undefined,
): boolean {
  return fingerprint === intent.fingerprint || fingerprint === olderFingerprint;
}

/** An intent that is lost with an outage of the database, before anything durable followed it, is stored again. */
async function beginOrIntend(
  { ledger, crash }: EngineDeps,
  { tool, tenant, id, rootKey, intent }: EffectJob,
  isFirst: boolean,
): Promise<BeginAnswer | undefined> {
  const known = isFirst && intent ? undefined : await ledger.begin(tenant, id, rootKey);
  if (known || !intent) return known;
  await crash('before-intent', tool.name);
  const begin = await ledger.begin(tenant, id, rootKey, intent);
  await crash('after-intent', tool.name);
  return begin;
}

async function lookAgain(deps: EngineDeps, job: EffectJob): Promise<AppendAnswer> {
  const { record, seq } = await look(deps, job);
  return { record, seq };
}

interface Way {
  readonly isFirst: boolean;
  /** How this attempt has ended already, before a permit was asked for. */
  readonly said: SendAnswer | undefined;
  /** How often this attempt has looked. */
  readonly looks: number;
}

/** Sends once; undefined: look at the ledger again. */
async function send(
  deps: EngineDeps,
  job: EffectJob,
  begin: BeginAnswer,
  { isFirst, said, looks }: Way,
): Promise<EffectOutcome | undefined> {
  const { tool, claim, isGivenUp = neverGivenUp } = job;
  const { record } = begin;
  // Whoever may not send has nothing to say of the effect: no gate is asked, and no tool.
  const reason = refuseClaim(toView(record), claim, begin.nowMs);
  if (reason !== undefined) return standBack(deps, job, record, reason);
  let ignoresIdentity = true;
  let warrant: Warrant | undefined;
  if (isFirst) {
    const gate = await passGate(begin, job.authority);
    switch (gate.kind) {
      case 'paused':
        return { kind: 'paused' };
      case 'wait-for-approval':
        return gate.outcome;
      case 'withdraw':
        return withdraw(deps, job, gate.code, gate.message);
      case 'already-applied': {
        const fact = { kind: 'applied', source: 'engine', output: gate.output } as const;
        return conclude(deps, job, record, { fact, details: { sameAs: gate.by } });
      }
      case 'blocked':
        return waitForHolder(deps, job, gate, begin, looks);
      case 'go':
        ({ ignoresIdentity, warrant } = gate);
    }
  } else if (begin.control.paused) {
    return { kind: 'paused' };
  }
  if (begin.decision !== null) await deps.crash('after-decision', tool.name);
  const attempt = tool.contract === 'transactional' ? attemptTransaction : attemptSend;
  const asked = { tool, record, claim, ignoresIdentity, warrant, isGivenUp };
  return readAnswer(deps, job, record, said ?? (await attempt(deps, asked)));
}

/** A later claim is never taken back: Temporal has an attempt for it, or makes one. A lease ends. */
async function standBack(
  deps: EngineDeps,
  job: EffectJob,
  { claimOrder }: EffectRecord,
  reason: string,
): Promise<undefined> {
  if (claimOrder > job.claim.order) throw retryLater(deps, job, FailureType.EffectBlocked, reason);
  await waitUntil(deps, LOOK_PAUSE_MS, job, reason);
  return undefined;
}

async function readAnswer(
  deps: EngineDeps,
  job: EffectJob,
  record: EffectRecord,
  answer: SendAnswer | TransactionAnswer,
): Promise<EffectOutcome | undefined> {
  if (answer.kind === 'unsent') return unsent(deps, job, record, answer.error);
  if (answer.kind === 'denied') return denied(deps, job, answer.answer);
  if (answer.kind === 'concluded') return conclude(deps, job, record, answer.entry);
  if (answer.kind === 'committed') {
    await deps.crash('after-settle', job.tool.name);
    return recorded(answer);
  }
  const settled = await appendOrCarry(deps, job, [answer.entry], answer.seen);
  if ('kind' in settled) return settled;
  await deps.crash('after-settle', job.tool.name);
  const { status } = settled.record.state;
  const isOver = status !== 'dispatched' && status !== 'intended';
  // A callback may have come before the answer that it belongs to.
  if (settled.record.state.isPending) return recorded(await lookAgain(deps, job));
  if (isOver) return recorded(settled);
  // The outcome is open: `once` concludes at the next look, everything else after a pause of its own.
  if (settled.record.contract === 'once' && status === 'dispatched') return undefined;
  const { fact } = answer.entry;
  const reason = 'reason' in fact ? fact.reason : 'no definite answer';
  if (fact.kind === 'not_sent' && isLastTry(job, reason)) {
    return giveUpUnsent(deps, job, settled.record, reason);
  }
  const type = status === 'intended' ? FailureType.EffectNotSent : FailureType.EffectAmbiguous;
  throw retryLater(deps, job, type, reason, answer.retryAfterMs);
}

/** An address that tools may not reach is none a minute later either. */
function isLastTry({ claim, tool }: EffectJob, reason: string): boolean {
  return isRefusedAddress(reason) || (claim.triedForMs ?? 0) >= tool.unsentForMs;
}

/** It could not be sent for as long as the tool allows. An earlier send may have arrived all the same: that is a doubt. */
function giveUpUnsent(
  deps: EngineDeps,
  job: EffectJob,
  record: EffectRecord,
  reason: string,
): Promise<EffectOutcome | undefined> {
  const seconds = Math.round((job.claim.triedForMs ?? 0) / 1_000);
  const why = `not reached for ${seconds} s: ${reason}`;
  // Why, each time, is in the facts: for people, not for a model.
  const told = `${NOT_REACHED} Nothing was sent.`;
  if (record.state.status === 'intended') return withdraw(deps, job, 'unreachable', told);
  // A later attempt may be sending at this moment: the doubt would be about its send, too.
  if (record.claimOrder > job.claim.order) return Promise.resolve(undefined);
  const fact: Fact = {
    kind: 'doubted',
    reason: `an earlier send is open, and the receiver is ${why}`,
  };
  return conclude(deps, job, record, { fact, attempt: job.claim.attempt });
}

async function denied(
  deps: EngineDeps,
  job: EffectJob,
  answer: Extract<SendAnswer, { kind: 'denied' }>['answer'],
): Promise<EffectOutcome | undefined> {
  switch (answer.kind) {
    case 'paused':
      return { kind: 'paused' };
    case 'cancelled':
      return withdraw(deps, job, 'cancelled', 'the run was cancelled before this was sent');
    case 'limit':
      return withdraw(
        deps,
        job,
        'limit_reached',
        `${job.tool.name} may be called ${answer.max} times in a run, and was`,
      );
    case 'identity':
    case 'not-permitted': {
      const why = answer.kind === 'identity' ? 'another effect has this identity' : answer.reason;
      await waitUntil(deps, LOOK_PAUSE_MS, job, why);
      return undefined;
    }
  }
}

/** The tool failed before it wrote: retried within its policy, then told to the model as a definite no. */
async function unsent(
  deps: EngineDeps,
  job: EffectJob,
  record: EffectRecord,
  error: unknown,
): Promise<EffectOutcome | undefined> {
  if (isOfAttempt(error)) throw error;
  const message = describeThrown(error);
  const isHopeless = error instanceof InputInvalid && error.isHopeless;
  // An attempt that got a permit did not fail here: what never left, and what was sent, have limits of their own.
  if (!isHopeless && job.claim.attempt - record.fence < job.tool.sendsMax) {
    throw retryLater(
      deps,
      job,
      FailureType.ToolFailed,
      `${job.tool.name} failed before it sent: ${message}`,
    );
  }
  const fact = factOfUnsent(record, error);
  return conclude(deps, job, record, { fact, attempt: job.claim.attempt });
}

/** Undefined when the effect is not as it was seen any more: what was concluded from that is void. */
async function conclude(
  { ledger, crash }: EngineDeps,
  { tool }: EffectJob,
  seen: EffectRecord,
  entry: FactEntry,
): Promise<EffectOutcome | undefined> {
  const answer = await ledger.conclude(seen, [entry]);
  if (!answer) return undefined;
  await crash('after-settle', tool.name);
  return recorded(answer);
}

/** Undefined when it is too late: another attempt has sent it since, and its outcome is to come. */
async function withdraw(
  deps: EngineDeps,
  job: EffectJob,
  code: string,
  message: string,
): Promise<EffectOutcome | undefined> {
  const answer = await append(deps, job, [{ fact: { kind: 'withdrawn', code, message } }]);
  return answer.record.state.status === 'dispatched' ? undefined : recorded(answer);
}

/** About five seconds of one attempt. */
const BLOCKED_LOOKS_MAX = 10;

/** A holder that is on the wire settles soon; one in doubt waits for a human, and so does this one, durably. */
async function waitForHolder(
  deps: EngineDeps,
  job: EffectJob,
  holder: { readonly by: string; readonly status: string },
  { record: { shortId: effect }, seq }: BeginAnswer,
  looks: number,
): Promise<EffectOutcome | undefined> {
  const reason = `waits for ${holder.by} (${holder.status}): the same intention`;
  // Effects that wait for a settled one are signalled by their own ids.
  if (holder.status === 'in_doubt') return { kind: 'in_doubt', reason, effect, seq };
  // Its receiver may have accepted it and take days: that is not waited for here.
  if (looks >= BLOCKED_LOOKS_MAX) {
    return { kind: 'pending', reference: null, untilMs: 0, effect, seq };
  }
  await waitUntil(deps, LOOK_PAUSE_MS, job, reason);
  return undefined;
}
