// Calls a model once and turns a failed call's facts into the failure that Temporal is told.
import type { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { nextDelayMs } from '../../domain/rules/backoff.ts';
import { classify } from '../../domain/rules/classify.ts';
import { costMicroUsd } from '../../domain/rules/pricing.ts';
import type { RunUsage } from '../../domain/rules/run.ts';
import type { ModelAnswer, ModelRequest } from '../../domain/rules/transcript.ts';
import { beat } from '../attempt-memory.ts';
import { ModelCallError } from '../models/model-provider.ts';
import { isRunCancelled, stoppedAttempt } from '../judged-failures.ts';
import type { AgentDescription } from './agent-registry.ts';
import type { RunDeps } from './run-deps.ts';

/** An answer with what it cost. */
export interface ModelCall {
  readonly answer: ModelAnswer;
  /** `provider/model` as asked for. */
  readonly requested: string;
  readonly usage: RunUsage;
  /** False when the price table does not know the model: the cost then counts as 0. */
  readonly isPriced: boolean;
  readonly attempt: number;
  readonly durationMs: number;
}

/** Failures in a row on one model before the next candidate is tried. */
const FAILURES_BEFORE_FALLBACK = 3;

/** One wire request at most. Throws an `ApplicationFailure`; a hopeless one is not retryable. */
export async function callModel(
  deps: RunDeps,
  model: AgentDescription['model'],
  request: ModelRequest,
  idempotencyKey: string,
  context: Context,
): Promise<ModelCall> {
  const { attempt } = context.info;
  const requested = pickModel(model, attempt);
  const startedAtMs = performance.now();
  try {
    const { provider, model: name } = deps.providers.resolve(requested);
    const answer = await provider.call(
      { ...request, model: name },
      {
        signal: context.cancellationSignal,
        onChunk: beatUnlessShort(context),
        idempotencyKey: `${idempotencyKey}-${requested}`,
      },
    );
    const cost = costMicroUsd(answer.usage, requested, deps.prices);
    return {
      answer,
      requested,
      usage: { ...pickTokens(answer), costMicroUsd: cost.microUsd ?? 0 },
      isPriced: cost.isKnown,
      attempt,
      durationMs: Math.round(performance.now() - startedAtMs),
    };
  } catch (error) {
    throw toFailure(error, context, deps.random());
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

/** The primary first; after some failures in a row each further candidate gets its turn, then the primary again. */
export function pickModel(model: AgentDescription['model'], attempt: number): string {
  const candidates = [model.primary, ...model.fallbacks];
  const index = Math.floor((attempt - 1) / FAILURES_BEFORE_FALLBACK) % candidates.length;
  return candidates[index] ?? model.primary;
}

function pickTokens({ usage }: ModelAnswer): Omit<RunUsage, 'costMicroUsd'> {
  const { inputTokens, outputTokens, cachedInputTokens } = usage;
  return { inputTokens, outputTokens, cachedInputTokens };
}

function toFailure(error: unknown, context: Context, random: number): unknown {
  if (!(error instanceof ModelCallError)) return error;
  // The worker stops: only a wish to cancel is the run's own end.
  if (error.facts.kind === 'aborted' && !isRunCancelled(context)) {
    return stoppedAttempt(error.message);
  }
  const { attempt } = context.info;
  const { type, retryable, retryAfterMs, hint } = classify(error.facts);
  const delayMs = nextDelayMs({ attempt, baseMs: 500, capMs: 60_000, retryAfterMs, random });
  return ApplicationFailure.create({
    type,
    message: hint ? `${error.message}. ${hint}` : error.message,
    nonRetryable: !retryable,
    ...(retryable ? { nextRetryDelay: Math.max(1, Math.round(delayMs)) } : {}),
  });
}
