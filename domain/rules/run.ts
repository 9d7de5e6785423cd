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
  /** Levels of sub-agents below the run. @default 3 */
  readonly depth?: number | undefined;
  /** Sub-agents that one run may start. @default 10 */
  readonly children?: number | undefined;
}

/** What a sub-agent has from its parent: the tighter of it and the agent's own budget holds. */
export interface ChildLimits {
  readonly depth: number;
  readonly costMicroUsd: number;
  readonly deadlineAtMs: number;
}

/** What the loop must know of a tool; the rest stays in the worker. */
export interface ToolPin {
  readonly contract: Contract;
  /** Start-to-close of one attempt, in milliseconds. */
  readonly timeoutMs: number;
  /** Effects of this tool may be under way at the same time. */
  readonly parallel: boolean;
  /** Its first attempt runs inside of the workflow task. @default false */
  readonly isLocal?: boolean | undefined;
}

/** An agent's description, pinned in history at start; the full text is stored under `hash`. */
export interface AgentPin {
  readonly name: string;
  /** SHA-256 of the canonical description: instructions, tools, model, policy. */
  readonly hash: string;
  readonly tools: Readonly<Record<string, ToolPin>>;
  readonly budget: Budget;
  /** It may call sub-agents. @default false */
  readonly hasAgents?: boolean | undefined;
  /** Absent: the model is always shown everything. */
  readonly compaction?: CompactionPolicy | undefined;
}

/** When a summary takes the place of what lies back. */
export interface CompactionPolicy {
  /** The tokens of the last request and answer together. */
  readonly tokens?: number | undefined;
  /** The turns since the start or since the last compaction. */
  readonly turns?: number | undefined;
  /** The last so many turns stay word for word. */
  readonly keepTurns: number;
  /** `provider/model` that summarises; absent: the agent's own. */
  readonly model?: string | undefined;
}

/** How the loop sees one tool call of the open turn. */
export interface CallState {
  /** Position in the answer: `0`, `1`, …; part of the effect's address. */
  readonly call: string;
  readonly tool: string;
  readonly contract: Contract;
  readonly parallel: boolean;
  readonly timeoutMs: number;
  /** Its first attempt runs inside of the workflow task. @default false */
  readonly isLocal?: boolean | undefined;
  /** One line for the UI, such as `pay_invoice INV-7 · EUR 20.00 · keyed`. */
  readonly summary: string;
  readonly status: CallStatus;
  /** Short id of the effect; absent for reads and refused calls. */
  readonly effect?: string | undefined;
  readonly approval?: { readonly id: string; readonly expiresAtMs: number } | undefined;
  /** The run of the sub-agent that was called. */
  readonly child?: ChildCall | undefined;
}

/** A call that is a run of its own. */
export interface ChildCall {
  readonly runKey: string;
  readonly agent: string;
}

export const CallStatus = {
  Ready: 'ready',
  AwaitingApproval: 'awaiting_approval',
  InDoubt: 'in_doubt',
  Pending: 'pending',
  AwaitingChild: 'awaiting_child',
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

/** Answers in a row of which nothing could be used before the run gives up. */
export const UNUSED_ANSWERS_MAX = 3;

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
  /** Tokens of the last model call, answer included; what the next one has to carry. */
  readonly contextTokens?: number | undefined;
  /** The turn before which was compacted last. */
  readonly compactedTurn?: number | undefined;
  /** The open turn's calls; empty when the model is to be called. */
  readonly calls: readonly CallState[];
  readonly usage: RunUsage;
  readonly denials: number;
  readonly repeated: { readonly fingerprint: string; readonly count: number };
  /** Set when the model has answered without a call. */
  readonly final?: FinalAnswer | undefined;
  /** Final answers that did not match the agent's output schema. */
  readonly invalidAnswers: number;
  /** Answers in a row of which nothing could be used. @default 0 */
  readonly unusedAnswers?: number | undefined;
  /** The model is asked again when this is over, or when somebody says so. */
  readonly modelWait?: { readonly untilMs: number; readonly reason: string } | undefined;
  /** Only of a session: where it stands with its user. */
  readonly session?: SessionState | undefined;
  /** Only of a sub-agent: the run that waits for it, and what it has from there. */
  readonly parent?: string | undefined;
  readonly limits?: ChildLimits | undefined;
  /** Why the run never began. */
  readonly rejected?: string | undefined;
  readonly control: { readonly paused: boolean; readonly cancelled: boolean };
}

/**
 * From so many unread messages on, a further one is not signalled: a session that has read as many at once looks again.
 * Ten thousand signals are the most that Temporal takes for one execution.
 */
export const UNSIGNALLED_FROM = 100;

/** A session waits for its user after an answer; turns, denials and bad answers count from the user's last words. */
export interface SessionState {
  /** The first turn that knew the user's last words. */
  readonly sinceTurn: number;
  /** Something may have been said since the last answer: the model step looks. */
  readonly isAwake: boolean;
  /** The user has ended it, and everything said is answered. */
  readonly isEnded: boolean;
}

/** The last answer; the text itself is in the transcript. */
export interface FinalAnswer {
  readonly isValid: boolean;
  /** What is wrong with it; only when not valid. */
  readonly problem?: string | undefined;
  /** Nothing of the answer was carried out, and why; absent of one that only fails the output schema. */
  readonly why?: UnusedAnswer | undefined;
}

/** Why an answer is not one to act on: cut at a limit, declined, not ended by its provider, not readable. */
export type UnusedAnswer = 'cut' | 'refused' | 'paused' | 'unusable';

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
  /** Its workflow was ended in Temporal, by whatever is not Pawl; `pawl resume` starts it again. */
  Terminated: 'terminated',
  /** The model's last answer is a refusal. */
  Refused: 'refused',
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
  /** Before the turn's model call. */
  | { readonly kind: 'compact'; readonly turn: number; readonly policy: CompactionPolicy }
  /** Reads, or effects whose tool says `parallel`: together. Otherwise one effect. */
  | { readonly kind: 'run-calls'; readonly calls: readonly CallState[] }
  | { readonly kind: 'start-children'; readonly calls: readonly CallState[] }
  | {
      readonly kind: 'await-children';
      readonly calls: readonly CallState[];
      readonly untilMs: number;
    }
  /** The run ends: what it has started ends with it. */
  | { readonly kind: 'end-children'; readonly calls: readonly CallState[] }
  | { readonly kind: 'await-approval'; readonly call: CallState; readonly untilMs: number }
  | { readonly kind: 'await-settlement'; readonly call: CallState }
  /** A session has answered: whatever its user says next goes on with it. */
  | { readonly kind: 'await-user'; readonly untilMs: number }
  | { readonly kind: 'await-resume' }
  /** A model's provider asks for a wait that is shown: a resume ends it. */
  | { readonly kind: 'await-model'; readonly untilMs: number; readonly reason: string }
  | { readonly kind: 'finish'; readonly result: RunResult };

/** What the model activity says of one proposed call. */
export interface ProposedCall {
  readonly tool: string;
  readonly verdict: PolicyVerdictKind | 'invalid';
  readonly rule: string;
  readonly summary: string;
  readonly effect?: string | undefined;
  readonly approval?: { readonly id: string; readonly expiresAtMs: number } | undefined;
  readonly child?: ChildCall | undefined;
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
      /** Of the answer itself, where `usage` also counts what was paid for and is not used. @default those of `usage` */
      readonly contextTokens?: number | undefined;
      readonly seq: number;
      /** Only of a session: the messages that this turn was the first to know, and whether more can come. */
      readonly session?: { readonly heard: number; readonly isEnded: boolean } | undefined;
    }
  /** Every model that may be asked wants to be asked later. */
  | { readonly kind: 'waiting'; readonly untilMs: number; readonly reason: string }
  /** Of a session: nothing new was said. */
  | { readonly kind: 'idle' }
  /** Of a session: nothing new was said, and nothing will be. */
  | { readonly kind: 'session-ended' }
  | { readonly kind: 'paused' }
  | { readonly kind: 'cancelled' };

/** The compaction activity's answer; `kept`: there was nothing to shorten, or no summary to be had for what it cost. */
export type CompactionResult =
  | { readonly kind: 'compacted'; readonly usage: RunUsage }
  | { readonly kind: 'kept'; readonly usage?: RunUsage | undefined }
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

/** How a sub-agent's run ended, for its parent; the answer itself is in the ledger. */
export interface ChildEnd {
  readonly end: CallEnd;
  readonly usage: RunUsage;
}

/** How a step ended. */
export type StepOutcome =
  | { readonly kind: 'opened'; readonly agent: AgentPin; readonly seq: number }
  /** The input does not match the agent's schema: nothing was begun. */
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'model'; readonly result: ModelStepResult }
  | { readonly kind: 'compaction'; readonly result: CompactionResult }
  | { readonly kind: 'calls'; readonly results: ReadonlyMap<string, CallResult> }
  /** Their runs are under way. */
  | { readonly kind: 'children-started'; readonly calls: readonly string[] }
  /** Those that have ended by now, by call. */
  | { readonly kind: 'children'; readonly ended: ReadonlyMap<string, ChildEnd> }
  | { readonly kind: 'children-ended' }
  /** A signal came or the time is up: the ledger's row decides, so the call is tried. */
  | { readonly kind: 'woken'; readonly call: string }
  /** The wait for a model is over. */
  | { readonly kind: 'waited' }
  /** The user of a session may have said something. */
  | { readonly kind: 'heard' }
  | { readonly kind: 'control' };
