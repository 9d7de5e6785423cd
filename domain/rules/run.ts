// One agent run as data: what the loop knows, which steps it can take and how steps end. Shapes only.
import type { Contract } from './contract.ts';
import type { Unrecorded } from './effect-outcome.ts';
import type { PolicyVerdictKind } from './policy.ts';

/** What a run may use up; every limit is checked between two steps. */
export interface Budget {
  readonly turns: number;
  readonly costMicroUsd: number;
  /** Time from start to end, waiting included, in milliseconds. */
  readonly deadlineMs: number;
  /** Calls that policy or a human said no to. */
  readonly denials: number;
  /** The same call with the same arguments in a row. */
  readonly repeats: number;
}

/** What the loop must know of a tool; the rest stays in the worker. */
export interface ToolPin {
  readonly contract: Contract;
  /** Start-to-close of one attempt, in milliseconds. */
  readonly timeoutMs: number;
  /** Effects of this tool may be under way at the same time. */
  readonly parallel: boolean;
}

/** An agent's description, pinned in history at start; the full text is stored under `hash`. */
export interface AgentPin {
  readonly name: string;
  /** SHA-256 of the canonical description: instructions, tools, model, policy. */
  readonly hash: string;
  readonly tools: Readonly<Record<string, ToolPin>>;
  readonly budget: Budget;
}

/** How the loop sees one tool call of the open turn. */
export interface CallState {
  /** Position in the answer: `0`, `1`, …; part of the effect's address. */
  readonly call: string;
  readonly tool: string;
  readonly contract: Contract;
  readonly parallel: boolean;
  readonly timeoutMs: number;
  /** One line for the UI, such as `pay_invoice INV-7 · EUR 20.00 · keyed`. */
  readonly summary: string;
  readonly status: CallStatus;
  /** Short id of the effect; absent for reads and refused calls. */
  readonly effect?: string | undefined;
  readonly approval?: { readonly id: string; readonly expiresAtMs: number } | undefined;
}

export const CallStatus = {
  Ready: 'ready',
  AwaitingApproval: 'awaiting_approval',
  InDoubt: 'in_doubt',
  Pending: 'pending',
  Done: 'done',
} as const;
export type CallStatus = (typeof CallStatus)[keyof typeof CallStatus];

/** How a call ended, in the words of `pawl show`. */
export const CallEnd = {
  Applied: 'applied',
  Refused: 'refused',
  Denied: 'denied',
  Forbidden: 'forbidden',
  Expired: 'expired',
  Invalid: 'invalid',
  Failed: 'failed',
  Skipped: 'skipped',
  Cancelled: 'cancelled',
} as const;
export type CallEnd = (typeof CallEnd)[keyof typeof CallEnd];

const ENDS_BY_CODE: Readonly<Record<string, CallEnd>> = {
  denied: CallEnd.Denied,
  forbidden: CallEnd.Forbidden,
  expired: CallEnd.Expired,
  cancelled: CallEnd.Cancelled,
  skipped: CallEnd.Skipped,
  tool_failed: CallEnd.Failed,
};

/** How a refused effect ended, in the words of `pawl show`. */
export function endOfRefusal(code: string): CallEnd {
  return ENDS_BY_CODE[code] ?? CallEnd.Refused;
}

export interface RunUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly costMicroUsd: number;
}

/** Final answers against the output schema before the run gives up. */
export const INVALID_ANSWERS_MAX = 3;

/** All that a run carries from step to step and through continue-as-new; at most 64 KB as JSON. */
export interface RunState {
  readonly v: 1;
  /** The version of `decide` and `apply` that this run follows. */
  readonly rules: 1;
  readonly tenant: string;
  readonly runKey: string;
  readonly rootKey: string;
  readonly path: readonly string[];
  readonly agentName: string;
  readonly startedAtMs: number;
  readonly agent?: AgentPin | undefined;
  /** The turn that the next or the open model call belongs to; the first is 1. */
  readonly turn: number;
  /** Raised by a fork only: part of every effect's address. */
  readonly generation: number;
  /** The highest ledger sequence that this run has seen (design, section 4, law 12). */
  readonly seq: number;
  /** The open turn's calls; empty when the model is to be called. */
  readonly calls: readonly CallState[];
  readonly usage: RunUsage;
  readonly denials: number;
  readonly repeated: { readonly fingerprint: string; readonly count: number };
  /** Set when the model has answered without a call. */
  readonly final?: FinalAnswer | undefined;
  /** Final answers that did not match the agent's output schema. */
  readonly invalidAnswers: number;
  /** Why the run never began. */
  readonly rejected?: string | undefined;
  readonly control: { readonly paused: boolean; readonly cancelled: boolean };
}

/** The last answer; the text itself is in the transcript. */
export interface FinalAnswer {
  readonly isValid: boolean;
  /** What is wrong with it; only when not valid. */
  readonly problem?: string | undefined;
}

export const RunEnd = {
  Completed: 'completed',
  InvalidOutput: 'invalid_output',
  OutOfTurns: 'out_of_turns',
  OverBudget: 'over_budget',
  Blocked: 'blocked',
  Stalled: 'stalled',
  DeadlinePassed: 'deadline_passed',
  Cancelled: 'cancelled',
  InvalidInput: 'invalid_input',
} as const;
export type RunEnd = (typeof RunEnd)[keyof typeof RunEnd];

/** How a run ended; expected ends are values, not failures. */
export interface RunResult {
  readonly v: 1;
  readonly kind: RunEnd;
  /** Why, for every end but `completed`. */
  readonly reason?: string | undefined;
  readonly turns: number;
  readonly usage: RunUsage;
}

/** What `decide` asks the shell to carry out. */
export type Step =
  | { readonly kind: 'open' }
  | { readonly kind: 'call-model'; readonly turn: number }
  /** Reads, or effects whose tool says `parallel`: together. Otherwise one effect. */
  | { readonly kind: 'run-calls'; readonly calls: readonly CallState[] }
  | { readonly kind: 'await-approval'; readonly call: CallState; readonly untilMs: number }
  | { readonly kind: 'await-settlement'; readonly call: CallState }
  | { readonly kind: 'await-resume' }
  | { readonly kind: 'finish'; readonly result: RunResult };

/** What the model activity says of one proposed call. */
export interface ProposedCall {
  readonly tool: string;
  readonly verdict: PolicyVerdictKind | 'invalid';
  readonly rule: string;
  readonly summary: string;
  readonly effect?: string | undefined;
  readonly approval?: { readonly id: string; readonly expiresAtMs: number } | undefined;
}

/** The model activity's answer. */
export type ModelStepResult =
  | {
      readonly kind: 'answered';
      readonly calls: readonly ProposedCall[];
      /** SHA-256 over all calls' names and arguments; equal for an equal answer. */
      readonly fingerprint: string;
      readonly final?: FinalAnswer | undefined;
      readonly usage: RunUsage;
      readonly seq: number;
    }
  | { readonly kind: 'paused' }
  | { readonly kind: 'cancelled' };

/** A call activity's answer: what became of the call, never its output (that is in the ledger). */
export type CallResult =
  | {
      readonly kind: 'ended';
      readonly end: CallEnd;
      readonly seq: number;
      readonly preview?: string;
    }
  | { readonly kind: 'in_doubt'; readonly reason: string; readonly seq: number }
  /** The receiver has accepted it: the calls behind it wait for its last word. */
  | { readonly kind: 'pending'; readonly seq: number }
  | { readonly kind: 'awaiting_approval'; readonly approval: { id: string; expiresAtMs: number } }
  | { readonly kind: 'paused' }
  | ({ readonly kind: 'unrecorded' } & Unrecorded);

/** How a step ended. */
export type StepOutcome =
  | { readonly kind: 'opened'; readonly agent: AgentPin; readonly seq: number }
  /** The input does not match the agent's schema: nothing was begun. */
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'model'; readonly result: ModelStepResult }
  | { readonly kind: 'calls'; readonly results: ReadonlyMap<string, CallResult> }
  /** A signal came or the time is up: the ledger's row decides, so the call is tried. */
  | { readonly kind: 'woken'; readonly call: string }
  | { readonly kind: 'control' };
