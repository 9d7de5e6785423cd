// Provider-neutral messages: what a transcript row holds and what the model adapters translate.
import type { Json } from './json.ts';

export type Role = 'user' | 'assistant' | 'tool';

/** One part of a message. `opaque` parts (thinking signatures) go back to their provider verbatim. */
export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'tool-call';
      readonly id: string;
      readonly name: string;
      readonly arguments: Json;
      /** Set when the model's text was not usable JSON: that text, cut at 4,000 letters; `arguments` is then null. */
      readonly malformed?: string;
      /** With `malformed`: the place and what is wrong there; absent when the text is not JSON at all. */
      readonly problem?: string;
    }
  | {
      readonly kind: 'tool-result';
      readonly id: string;
      readonly name: string;
      readonly content: Json;
      readonly isError: boolean;
    }
  | { readonly kind: 'opaque'; readonly provider: string; readonly data: Json };

export type ToolCallPart = Extract<Part, { kind: 'tool-call' }>;
export type ToolResultPart = Extract<Part, { kind: 'tool-result' }>;

/** What is said in words, calls and opaque parts left out. */
export function wordsOf(parts: readonly Part[]): string {
  return parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('');
}

export interface Message {
  readonly role: Role;
  readonly parts: readonly Part[];
}

/** Tokens of one model call, as the provider reports them. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The share of `inputTokens` that the provider served from its cache. */
  readonly cachedInputTokens: number;
  /** The share of `inputTokens` that went into the provider's cache, which some charge extra. */
  readonly cacheWriteInputTokens?: number | undefined;
}

export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly inputSchema: Json;
}

/** What an adapter sends; `model` is without the provider's prefix. */
export interface ModelRequest {
  readonly model: string;
  readonly system: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDescription[];
  readonly maxOutputTokens: number;
}

/** Why the provider stopped. Only after `end` and `tool-calls` is an answer one to act on. */
export type StopReason =
  | 'end'
  | 'tool-calls'
  /** Cut off at a limit: the output's or the context's. */
  | 'max-tokens'
  /** The model or a filter of the provider declined. */
  | 'refusal'
  /** The provider paused its turn and expects to be asked to go on. */
  | 'paused'
  /** The answer arrived, but it can't be read; `ModelAnswer.problem` says why. */
  | 'unusable';

/** What an adapter brings back. */
export interface ModelAnswer {
  readonly parts: readonly Part[];
  readonly usage: Usage;
  readonly stopReason: StopReason;
  /** Why an `unusable` answer can't be read, in words for a person and for the model. */
  readonly problem?: string | undefined;
  /** The model that the provider says it served. */
  readonly servedModel: string;
  /** The provider's request id, for its support. */
  readonly requestId?: string | undefined;
}
