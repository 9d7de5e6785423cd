// The classification table: what a failed model call means for its run. A row per case; adapters only report facts.
import { FailureType } from './failure.ts';

/** What an adapter knows of a failed call; never an SDK's error object. */
export type ModelCallFacts = ModelCallOrigin &
  (
    | {
        readonly kind: 'http';
        readonly status: number;
        readonly errorType?: string | undefined;
        readonly errorCode?: string | undefined;
        /** How long the provider asks to wait. */
        readonly retryAfterMs?: number | undefined;
        readonly requestId?: string | undefined;
      }
    /** No answer came; `code` as Node says it, such as `ECONNRESET`. */
    | { readonly kind: 'network'; readonly code: string }
    | { readonly kind: 'timeout' }
    /** We ended the call ourselves: a cancel or a shutdown. */
    | { readonly kind: 'aborted' }
    /** The answer began and was cut off: the tokens may be paid for. */
    | { readonly kind: 'cut' }
    | { readonly kind: 'unparsable' }
    | { readonly kind: 'refusal' }
    /** The answer ended at the output limit. */
    | { readonly kind: 'max-tokens' }
    | { readonly kind: 'not-configured' }
    /** The provider's SDK is not installed. */
    | { readonly kind: 'not-installed'; readonly packageName: string }
  );

export interface ModelCallOrigin {
  /** The part of a model reference before the slash. */
  readonly provider: string;
  /** What the provider or the SDK said; keys removed. */
  readonly message: string;
}

export interface Classification {
  readonly type: FailureType;
  readonly retryable: boolean;
  /** The provider's wish; a floor for the next attempt. */
  readonly retryAfterMs?: number | undefined;
  /** Another provider may well answer. */
  readonly mayFailOver: boolean;
  /** Waiting does not help: a human must act. */
  readonly page: boolean;
  /** What the user can do. */
  readonly hint: string;
}

/** The environment variable that holds a provider's key. */
export const API_KEY_NAMES: Readonly<Record<string, string>> = {
  anthropic: 'ANTHROPIC_API_KEY',
  openai: 'OPENAI_API_KEY',
};

interface Row extends Omit<Classification, 'retryAfterMs' | 'hint'> {
  readonly matches: (facts: ModelCallFacts) => boolean;
  readonly hint: (facts: ModelCallFacts) => string;
}

const WAIT = { retryable: true, mayFailOver: true, page: false } as const;
const NO_WAIT = { retryable: false, mayFailOver: true, page: true } as const;
const OUR_FAULT = { retryable: false, mayFailOver: false, page: true } as const;

/** First match wins: the special cases of a status stand above it. */
const ROWS: readonly Row[] = [
  {
    matches: isKind('not-configured'),
    type: FailureType.ModelNotConfigured,
    ...NO_WAIT,
    hint: (facts) => `set ${keyName(facts)}, or take ${facts.provider} out of the agent's models`,
  },
  {
    matches: isKind('not-installed'),
    type: FailureType.ModelNotConfigured,
    ...NO_WAIT,
    hint: (facts) => `run: npm install ${'packageName' in facts ? facts.packageName : ''}`,
  },
  {
    matches: isQuotaExhausted,
    type: FailureType.ModelQuotaExhausted,
    ...NO_WAIT,
    hint: (facts) => `the ${facts.provider} account has no credit left: check its billing page`,
  },
  {
    matches: isContextOverflow,
    type: FailureType.ModelContextOverflow,
    retryable: false,
    mayFailOver: true,
    page: false,
    hint: () =>
      'the transcript is longer than the model can read: shorten it or use a larger model',
  },
  {
    matches: isStatus(401),
    type: FailureType.ModelAuthentication,
    ...NO_WAIT,
    hint: (facts) => `check ${keyName(facts)}: ${facts.provider} does not accept it`,
  },
  {
    matches: isStatus(403),
    type: FailureType.ModelAuthentication,
    ...NO_WAIT,
    hint: (facts) => `check ${keyName(facts)}: it may not use this model or region`,
  },
  {
    matches: isStatus(404),
    type: FailureType.ModelRequestInvalid,
    ...NO_WAIT,
    hint: (facts) => `check the model's name and the base URL: ${facts.provider} does not know it`,
  },
  {
    matches: (facts) => isStatus(429)(facts) || isErrorType(facts, 'rate_limit_error'),
    type: FailureType.ModelRateLimited,
    ...WAIT,
    hint: (facts) =>
      `${facts.provider} limits the rate: the call waits; raise the limit or lower the load`,
  },
  {
    matches: (facts) => isStatus(529)(facts) || isErrorType(facts, 'overloaded_error'),
    type: FailureType.ModelOverloaded,
    ...WAIT,
    hint: (facts) => `${facts.provider} is overloaded: the call waits; a fallback model helps`,
  },
  {
    matches: isStatus(408, 409, 425),
    type: FailureType.ModelUnavailable,
    ...WAIT,
    hint: (facts) => `${facts.provider} asks to try again; nothing to do`,
  },
  {
    matches: (facts) => facts.kind === 'http' && facts.status >= 500,
    type: FailureType.ModelUnavailable,
    ...WAIT,
    hint: (facts) => `${facts.provider} has a fault: the call waits; see its status page`,
  },
  {
    // 400, 422 and every other status that says: this request will never do.
    matches: isKind('http'),
    type: FailureType.ModelRequestInvalid,
    ...OUR_FAULT,
    hint: (facts) => `${facts.provider} rejects the request itself: ${facts.message}`,
  },
  {
    matches: (facts) =>
      facts.kind === 'network' && /CERT|TLS|SSL|UNABLE_TO_VERIFY/.test(facts.code),
    type: FailureType.ModelUnavailable,
    ...WAIT,
    page: true,
    hint: (facts) =>
      `the certificate of ${facts.provider} is not trusted: check the base URL and proxy`,
  },
  {
    matches: isKind('network'),
    type: FailureType.ModelUnavailable,
    ...WAIT,
    hint: (facts) => `${facts.provider} cannot be reached: check the network and the base URL`,
  },
  {
    matches: isKind('timeout'),
    type: FailureType.ModelUnavailable,
    ...WAIT,
    hint: (facts) => `${facts.provider} did not answer in time; the call is tried again`,
  },
  {
    matches: isKind('aborted'),
    type: FailureType.RunCancelled,
    retryable: false,
    mayFailOver: false,
    page: false,
    hint: () => 'the call was ended from our side; nothing to do',
  },
  {
    matches: isKind('cut'),
    type: FailureType.ModelUnavailable,
    ...WAIT,
    hint: (facts) => `the answer of ${facts.provider} was cut off; the call is tried again`,
  },
  {
    matches: isKind('unparsable'),
    type: FailureType.ModelAnswerInvalid,
    ...WAIT,
    hint: (facts) =>
      `${facts.provider} did not answer in its own format: check the base URL and proxy`,
  },
  {
    matches: isKind('refusal'),
    type: FailureType.ModelAnswerInvalid,
    retryable: false,
    mayFailOver: false,
    page: false,
    hint: () => 'the model refuses this task: change the instructions or the input',
  },
  {
    matches: isKind('max-tokens'),
    type: FailureType.ModelAnswerInvalid,
    retryable: false,
    mayFailOver: false,
    page: false,
    hint: () => "the answer is longer than allowed: raise the agent's maxOutputTokens",
  },
];

/** What a failed model call means (requirement S0-07). Total: every fact matches a row. */
export function classify(facts: ModelCallFacts): Classification {
  const row = ROWS.find(({ matches }) => matches(facts));
  if (!row) throw new Error(`No row for a model failure of kind ${facts.kind}`);
  const { type, retryable, mayFailOver, page } = row;
  const retryAfterMs = retryable && facts.kind === 'http' ? facts.retryAfterMs : undefined;
  return { type, retryable, retryAfterMs, mayFailOver, page, hint: row.hint(facts) };
}

function isKind(kind: ModelCallFacts['kind']): (facts: ModelCallFacts) => boolean {
  return (facts) => facts.kind === kind;
}

function isStatus(...statuses: readonly number[]): (facts: ModelCallFacts) => boolean {
  return (facts) => facts.kind === 'http' && statuses.includes(facts.status);
}

function isErrorType(facts: ModelCallFacts, errorType: string): boolean {
  return facts.kind === 'http' && facts.errorType === errorType;
}

const QUOTA_CODES = ['insufficient_quota', 'billing_not_active', 'billing_hard_limit_reached'];

function isQuotaExhausted(facts: ModelCallFacts): boolean {
  if (facts.kind !== 'http') return false;
  const { status, errorType = '', errorCode = '', message } = facts;
  if (status === 402 || errorType === 'billing_error') return true;
  if (QUOTA_CODES.includes(errorCode) || QUOTA_CODES.includes(errorType)) return true;
  // Anthropic says it with a plain 400.
  return status === 400 && /credit balance is too low/i.test(message);
}

function isContextOverflow(facts: ModelCallFacts): boolean {
  if (facts.kind !== 'http') return false;
  if (facts.status === 413 || facts.errorCode === 'context_length_exceeded') return true;
  // Anthropic has no code for it.
  return facts.status === 400 && /prompt is too long|exceeds? (the )?context/i.test(facts.message);
}

function keyName(facts: ModelCallFacts): string {
  return API_KEY_NAMES[facts.provider] ?? `the API key of ${facts.provider}`;
}
