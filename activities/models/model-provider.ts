// The port to the model providers: one call in, one answer or one error with facts out. No retries behind it.
import type { ModelCallFacts } from '../../domain/rules/classify.ts';
import type { ModelAnswer, ModelRequest, Usage } from '../../domain/rules/transcript.ts';

export interface ModelCallContext {
  /** Ends the paid call; the provider sees the connection close. */
  readonly signal: AbortSignal;
  /** Called for every chunk of the answer: the activity's sign of life. */
  onChunk(): void;
  /** Carries the request; absent: the runtime's own. */
  readonly fetch?: typeof fetch | undefined;
  /** Sent as the header `idempotency-key`, the same on every attempt of one call. */
  readonly idempotencyKey: string;
}

export interface ModelProvider {
  /** The part of a model reference before the slash. */
  readonly name: string;
  /** One wire request at most. Throws a `ModelCallError` for every failure of the call. */
  call(request: ModelRequest, context: ModelCallContext): Promise<ModelAnswer>;
}

const NO_USAGE: Usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 };

/** A failed call as facts for `classify`. Stays in the process: only its failure type crosses Temporal. */
export class ModelCallError extends Error {
  readonly facts: ModelCallFacts;
  /** What the provider had reported when the call failed; all 0 before that. */
  readonly usage: Usage;

  constructor(facts: ModelCallFacts, usage: Usage = NO_USAGE) {
    super(`${facts.provider}: ${facts.message}`);
    this.name = 'ModelCallError';
    this.facts = facts;
    this.usage = usage;
  }
}

/** How to reach a provider; the key never leaves the adapter. */
export interface ProviderAccount {
  readonly apiKey: string;
  /** @default the provider's public address */
  readonly baseURL?: string | undefined;
  /** How long the first byte of an answer may take, in milliseconds. @default 600000 */
  readonly timeoutMs?: number | undefined;
  /** Whether an SDK that emits spans leaves prompts and answers out of them, whatever the environment says. @default false */
  readonly hidesContent?: boolean | undefined;
}
