// Turns what the two official SDKs throw into facts. They are generated alike, so one translation serves both.
import type { ModelCallFacts } from '../../domain/rules/classify.ts';
import { messageOfThrown } from '../../domain/rules/thrown.ts';
import type { Usage } from '../../domain/rules/transcript.ts';
import { toErrorCode, toErrorName } from '../error-facts.ts';
import { PackageMissingError } from '../optional-package.ts';
import { ModelCallError } from './model-provider.ts';

type ErrorClass = abstract new (...args: never[]) => Error;

/** The error classes of an SDK, as its client class carries them. */
export interface SdkErrorClasses {
  readonly APIError: ErrorClass;
  readonly APIUserAbortError: ErrorClass;
  readonly APIConnectionError: ErrorClass;
  readonly APIConnectionTimeoutError: ErrorClass;
}

export interface SdkErrorContext {
  readonly provider: string;
  readonly apiKey: string;
  readonly errors: SdkErrorClasses;
  readonly nowMs: number;
  /** What the provider had reported until then. */
  readonly usage?: Usage;
}

/** Thrown by an adapter when an event is not what the provider documents. */
export class AnswerFormatError extends Error {}

/** The stream ended without its end mark. */
export class AnswerCutError extends Error {}

/** A `ModelCallError`, or the error itself when it did not come from the call. */
export function toModelCallError(error: unknown, context: SdkErrorContext): unknown {
  const facts = toFacts(error, context);
  return facts ? new ModelCallError(facts, context.usage) : error;
}

/** Facts for a package that is not installed; undefined for any other error. */
export function toMissingPackageFacts(
  error: unknown,
  provider: string,
): ModelCallFacts | undefined {
  if (!(error instanceof PackageMissingError)) return undefined;
  const { packageName, message } = error;
  return { kind: 'not-installed', provider, packageName, message };
}

function toFacts(error: unknown, context: SdkErrorContext): ModelCallFacts | undefined {
  const { provider, errors } = context;
  const origin = { provider, message: toMessage(error, context.apiKey) };
  if (isA(error, errors.APIUserAbortError)) return { kind: 'aborted', ...origin };
  if (isA(error, errors.APIConnectionTimeoutError)) return { kind: 'timeout', ...origin };
  if (isA(error, errors.APIConnectionError)) {
    return { kind: 'network', code: toErrorCode(error), ...origin };
  }
  if (isA(error, errors.APIError))
    return toHttpFacts(error as ApiErrorFields, origin, context.nowMs);
  if (error instanceof AnswerFormatError || toErrorName(error) === 'SyntaxError') {
    return { kind: 'unparsable', ...origin };
  }
  // undici reports a body that breaks off as a bare `TypeError: terminated`.
  if (error instanceof AnswerCutError || toErrorName(error) === 'TypeError')
    return { kind: 'cut', ...origin };
  return undefined;
}

/** A plain boolean: narrowing by the SDKs' loosely typed classes would exclude every error. */
function isA(error: unknown, errorClass: ErrorClass): boolean {
  return error instanceof errorClass;
}

/** What both SDKs put on an `APIError`; the names differ a little. */
interface ApiErrorFields {
  readonly status?: number | undefined;
  readonly type?: string | null;
  readonly code?: string | null;
  readonly errorCode?: string | null;
  readonly requestID?: string | null;
  readonly headers?: Headers | undefined;
  readonly apiMessage?: string | null;
}

function toHttpFacts(
  error: ApiErrorFields,
  origin: { provider: string; message: string },
  nowMs: number,
): ModelCallFacts {
  const errorType = error.type ?? undefined;
  const errorCode = error.code ?? error.errorCode ?? undefined;
  return {
    kind: 'http',
    // An error event inside a stream comes after a 200: its type says which status it would have been.
    status:
      error.status ??
      STREAM_ERROR_STATUS[errorCode ?? ''] ??
      STREAM_ERROR_STATUS[errorType ?? ''] ??
      500,
    errorType,
    errorCode,
    retryAfterMs: error.headers ? parseRetryAfterMs(error.headers, nowMs) : undefined,
    requestId: error.requestID ?? undefined,
    ...origin,
  };
}

const STREAM_ERROR_STATUS: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  context_length_exceeded: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
  timeout_error: 504,
  overloaded_error: 529,
};

/** A longer wait is not a wait; what may be waited for is decided by whoever waits. */
const RETRY_AFTER_MS_MAX = 366 * 24 * 3_600_000;

/**
 * The wait that the headers ask for, in milliseconds: `retry-after-ms`, or `retry-after` as seconds or a date. From 0 to a
 * year; undefined when neither can be read.
 */
export function parseRetryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const exactMs = toNumber(headers.get('retry-after-ms'));
  const waitMs = exactMs ?? toWaitMs(headers.get('retry-after')?.trim() ?? '', nowMs);
  return waitMs === undefined ? undefined : Math.min(waitMs, RETRY_AFTER_MS_MAX);
}

function toWaitMs(text: string, nowMs: number): number | undefined {
  const seconds = toNumber(text);
  if (seconds !== undefined) return seconds * 1_000;
  // A date in every one of HTTP's three forms names its month; anything else is no date, whatever `Date.parse` makes of it.
  const dateMs = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

/** A plain number that is not negative; undefined for anything else. */
function toNumber(text: string | null): number | undefined {
  return text !== null && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : undefined;
}

const MESSAGE_LENGTH_MAX = 500;

function toMessage(error: unknown, apiKey: string): string {
  const said = (error as ApiErrorFields | undefined)?.apiMessage;
  const text = typeof said === 'string' && said ? said : messageOfThrown(error);
  const clean = apiKey ? text.replaceAll(apiKey, '[key]') : text;
  return clean.length > MESSAGE_LENGTH_MAX ? `${clean.slice(0, MESSAGE_LENGTH_MAX)}…` : clean;
}
