// An answer in a form that can always be stored: what cannot be written becomes one that nobody acts on.
import type { ModelAnswer, Part, StopReason, Usage } from '../../domain/rules/transcript.ts';
import { toStorable } from '../ledger/storable.ts';

export interface StorableAnswer {
  readonly answer: ModelAnswer;
  /** JSON: NUL and halves of surrogate pairs are escapes in it, so that a text column takes it. */
  readonly text: string;
}

/** A quarter of what a text column holds: encrypted it is longer by half. */
const CHARS_MAX = 250_000_000;

const STOP_REASONS: Readonly<Record<StopReason, true>> = {
  end: true,
  'tool-calls': true,
  'max-tokens': true,
  refusal: true,
  paused: true,
  unusable: true,
};

/** Total: a provider of the user's own may bring anything. */
export function toStorableAnswer(given: ModelAnswer): StorableAnswer {
  try {
    const answer = withKnownShape(given);
    const text = JSON.stringify(answer);
    // As it will be read: no getter, no `toJSON`, no `undefined` is left in it.
    if (text.length <= CHARS_MAX) return { answer: readAnswer(text), text };
    return unusable(given, `it has ${text.length} characters, and at most ${CHARS_MAX} are kept`);
  } catch {
    return unusable(given, 'it cannot be written as JSON');
  }
}

export function readAnswer(text: string): ModelAnswer {
  return JSON.parse(text) as ModelAnswer;
}

/** What was used up, in whole numbers of tokens that can be added up. Total. */
export function toWholeUsage(given: Partial<Usage> | undefined): Usage {
  const written = toCount(given?.cacheWriteInputTokens);
  return {
    inputTokens: toCount(given?.inputTokens),
    outputTokens: toCount(given?.outputTokens),
    cachedInputTokens: toCount(given?.cachedInputTokens),
    ...(written > 0 ? { cacheWriteInputTokens: written } : {}),
  };
}

/** No call uses so many: sums of them stay exact. */
const TOKENS_MAX = 1_000_000_000;

function toCount(value: unknown): number {
  const count = typeof value === 'number' ? Math.round(value) : 0;
  return count > 0 ? Math.min(count, TOKENS_MAX) : 0;
}

function withKnownShape(given: ModelAnswer): ModelAnswer {
  const { parts, stopReason, problem, servedModel, requestId } = given;
  const known =
    Array.isArray(parts) && parts.every(isPart) && Object.hasOwn(STOP_REASONS, stopReason);
  return {
    parts: known ? parts : [],
    usage: toWholeUsage(given.usage),
    stopReason: known ? stopReason : 'unusable',
    ...(known ? {} : { problem: 'its shape is not known' }),
    ...(known && problem !== undefined ? { problem: String(problem) } : {}),
    servedModel: toWord(servedModel),
    ...(requestId === undefined ? {} : { requestId: toWord(requestId) }),
  };
}

function isPart(part: unknown): part is Part {
  if (typeof part !== 'object' || part === null || !('kind' in part)) return false;
  const { kind, text, id, name } = part as Record<string, unknown>;
  if (kind === 'text') return typeof text === 'string';
  if (kind === 'tool-call') return typeof id === 'string' && typeof name === 'string';
  return kind === 'opaque';
}

function toWord(value: unknown): string {
  return toStorable(String(value ?? '').slice(0, 500));
}

function unusable(given: ModelAnswer, problem: string): StorableAnswer {
  const answer: ModelAnswer = {
    parts: [],
    usage: usageOf(given),
    stopReason: 'unusable',
    problem,
    servedModel: '',
  };
  return { answer, text: JSON.stringify(answer) };
}

function usageOf(given: ModelAnswer): Usage {
  try {
    return toWholeUsage(given.usage);
  } catch {
    return toWholeUsage(undefined);
  }
}
