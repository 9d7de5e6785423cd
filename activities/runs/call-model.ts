// Calls a model once and stores what it answered; a failed call becomes the failure that Temporal is told, or a wait.
import { randomUUID } from 'node:crypto';
import type { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { nextDelayMs } from '../../domain/rules/backoff.ts';
import { classify } from '../../domain/rules/classify.ts';
import { costMicroUsd } from '../../domain/rules/pricing.ts';
import type { ModelRequest, Usage } from '../../domain/rules/transcript.ts';
import { beat, recallAttempts, rememberAttempt } from '../attempt-memory.ts';
import { isRunCancelled, stoppedAttempt } from '../judged-failures.ts';
import { EncryptionError } from '../encryption/encryption-error.ts';
import { isLedgersTrouble } from '../ledger/database.ts';
import { ModelCallError } from '../models/model-provider.ts';
import type { AgentDescription } from './agent-registry.ts';
import {
  type AnswerKind,
  type ModelCall,
  type PaidCall,
  storeAnswer,
  storeSpent,
} from './model-answers.ts';
import { callKey } from './model-request.ts';
import type { ModelStepInput } from './model-step-input.ts';
import type { RunDeps } from './run-deps.ts';
import { toStorableAnswer, toWholeUsage } from './storable-answer.ts';

/** One question to a model. */
export interface ModelQuestion {
  readonly input: ModelStepInput;
  readonly kind: AnswerKind;
  /** How often it was answered before, with nothing that could be used. @default 0 */
  readonly answeredBefore?: number;
  readonly model: AgentDescription['model'];
  readonly request: ModelRequest;
  /** What people have said since the answer before, as it stands in the request. @default [] */
  readonly messageIds?: readonly string[];
}

/** All candidates asked for a wait that is too long to be held by an activity. */
export interface ModelWait {
  readonly kind: 'waiting';
  /** Epoch milliseconds. */
  readonly untilMs: number;
  /** Who asked for it, in words for a person. */
  readonly reason: string;
}

export type Asked = { readonly kind: 'answered'; readonly call: ModelCall } | ModelWait;

/** Failures in a row on one model before the next candidate is tried. */
const FAILURES_BEFORE_FALLBACK = 3;
/** Answers in a row that are not in the provider's format, before the run is parked: about three minutes. */
const UNREAD_MAX = 10;
/** The longest wait that a provider is given, as the receivers of effects. */
export const RETRY_AFTER_MAX_MS = 600_000;
/** A longer wait is shown, and ended by a resume: no attempt of an activity holds it. */
export const UNSEEN_WAIT_MAX_MS = 60_000;

/**
 * One wire request at most. What arrives is stored and counted before this returns. Throws an `ApplicationFailure`; a
 * hopeless one is not retryable.
 */
export async function callModel(
  deps: RunDeps,
  question: ModelQuestion,
  context: Context,
): Promise<Asked> {
  const { input, kind, request, answeredBefore = 0 } = question;
  const requested = pickModel(question.model, context);
  await deps.crash('before-model-call', input.agent);
  const startedAtMs = performance.now();
  const paidFor = (usage: Usage): PaidCall => {
    const cost = costMicroUsd(usage, requested, deps.prices);
    const { inputTokens, outputTokens, cachedInputTokens } = usage;
    return {
      requested,
      usage: { inputTokens, outputTokens, cachedInputTokens, costMicroUsd: cost.microUsd ?? 0 },
      isPriced: cost.isKnown,
      attempt: context.info.attempt,
      durationMs: Math.round(performance.now() - startedAtMs),
    };
  };
  try {
    const { provider, model: name } = deps.providers.resolve(requested);
    const again = answeredBefore === 0 ? '' : `-${answeredBefore}`;
    const given = await provider.call(
      { ...request, model: name },
      {
        signal: context.cancellationSignal,
        onChunk: beatUnlessShort(context),
        idempotencyKey: `${callKey(kind === 'turn' ? 'model' : 'compact', input)}${again}-${requested}`,
      },
    );
    await deps.crash('after-model-call', input.agent);
    const storable = toStorableAnswer(given);
    const paid = paidFor(toWholeUsage(storable.answer.usage));
    const id = randomUUID();
    const call = await untilStored(deps, context, () =>
      storeAnswer(deps.database, { ...question, answer: storable, paid, id }),
    );
    await deps.crash('after-model-answer', input.agent);
    return { kind: 'answered', call };
  } catch (error) {
    if (!(error instanceof ModelCallError)) throw error;
    const usage = toWholeUsage(error.usage);
    if (usage.inputTokens + usage.outputTokens > 0) {
      await storeSpent(deps.database, input, kind, paidFor(usage), error.message);
    }
    return waitOrThrow(deps, question, requested, error, context);
  }
}

/** Longer than a restart of the database; the answer is paid for, and only this process has it. */
const STORING_MAX_MS = 300_000;
const STORING_PAUSE_MS = 500;

/** The database may be back soon, and so may whoever keeps the keys. */
function isPassing(error: unknown): boolean {
  return isLedgersTrouble(error) || error instanceof EncryptionError;
}

async function untilStored<T>(
  { clock }: RunDeps,
  context: Context,
  store: () => Promise<T>,
): Promise<T> {
  const endsAtMs = clock.nowMs() + STORING_MAX_MS;
  for (;;) {
    try {
      return await store();
    } catch (error) {
      const isOver = clock.nowMs() > endsAtMs || context.cancellationSignal.aborted;
      if (!isPassing(error) || isOver) throw error;
      await clock.sleep(STORING_PAUSE_MS);
    }
  }
}

/** A beat is a write at Temporal's server: a call that is over at once needs none. */
const SHORT_CALL_MS = 1_000;

function beatUnlessShort(context: Context): () => void {
  const startedAtMs = performance.now();
  return () => {
    if (performance.now() - startedAtMs > SHORT_CALL_MS) beat(context);
  };
}

/**
 * The primary first; after some failures in a row each further candidate gets its turn, then the primary again. One that
 * has asked for a long wait is passed over meanwhile, as long as there is another.
 */
export function pickModel(
  model: AgentDescription['model'],
  context: Pick<Context, 'info'>,
  nowMs: number = Date.now(),
): string {
  const candidates = [model.primary, ...model.fallbacks];
  const { waits = {} } = recallAttempts(context as Context);
  const first = Math.floor((context.info.attempt - 1) / FAILURES_BEFORE_FALLBACK);
  const inOrder = candidates.map((_, at) => candidates[(first + at) % candidates.length]);
  const free = inOrder.find((name) => name !== undefined && !((waits[name] ?? 0) > nowMs));
  return free ?? inOrder[0] ?? model.primary;
}

/** An answer with status 200 may be on the bill, whatever it is: a base URL that is wrong is not asked without end. */
function isUnreadForGood({ facts }: ModelCallError, context: Context): boolean {
  const unread = facts.kind === 'unparsable' ? (recallAttempts(context).unread ?? 0) + 1 : 0;
  if (unread !== (recallAttempts(context).unread ?? 0)) rememberAttempt(context, { unread });
  return unread >= UNREAD_MAX;
}

function waitOrThrow(
  deps: RunDeps,
  { input, model }: ModelQuestion,
  requested: string,
  error: ModelCallError,
  context: Context,
): ModelWait {
  // The worker stops: only a wish to cancel is the run's own end.
  if (error.facts.kind === 'aborted' && !isRunCancelled(context)) {
    throw stoppedAttempt(error.message);
  }
  const { attempt } = context.info;
  const { type, retryAfterMs = 0, hint, ...row } = classify(error.facts);
  const retryable = row.retryable && !isUnreadForGood(error, context);
  const random = deps.random();
  const askedMs = Math.min(retryAfterMs, RETRY_AFTER_MAX_MS);
  const delayMs = nextDelayMs({
    attempt,
    baseMs: 500,
    capMs: 60_000,
    retryAfterMs: askedMs,
    random,
  });
  const message = hint ? `${error.message}. ${hint}` : error.message;
  const fail = (nextRetryDelay: number): ApplicationFailure =>
    ApplicationFailure.create({
      type,
      message,
      nonRetryable: !retryable,
      ...(retryable ? { nextRetryDelay: Math.max(1, Math.round(nextRetryDelay)) } : {}),
    });
  if (!retryable || delayMs <= UNSEEN_WAIT_MAX_MS) throw fail(delayMs);
  const nowMs = Date.now();
  const { waits: before = {} } = recallAttempts(context);
  const waits = { ...before, [requested]: nowMs + delayMs };
  const candidates = [model.primary, ...model.fallbacks];
  const firstFreeMs = Math.min(...candidates.map((name) => waits[name] ?? 0));
  if (firstFreeMs <= nowMs || !input.canWait) {
    rememberAttempt(context, { waits });
    // A workflow of an older build cannot wait: the attempt does, unseen.
    throw fail(firstFreeMs <= nowMs ? random * 1_000 : firstFreeMs - nowMs);
  }
  return { kind: 'waiting', untilMs: firstFreeMs, reason: message };
}
