// Names and shapes of what reaches a workflow from outside: a pinned ABI, types and names only.
import { defineQuery, defineSignal } from '@temporalio/workflow';

/** The names of workflow types, signals and queries; never rename one: histories hold them. */
export const WorkflowType = {
  AgentRun: 'agentRun',
  Reconciler: 'pawlReconciler',
  Compensate: 'pawlCompensate',
} as const;

/** Every signal only wakes: the row in PostgreSQL that it names is the authority. */
export interface DecidedMessage {
  readonly v: 1;
  readonly approval: string;
  readonly decision: string;
}
export interface SettledMessage {
  readonly v: 1;
  readonly effect: string;
  readonly settlement: string;
}
export interface ControlMessage {
  readonly v: 1;
  readonly by: string;
}
export interface ChildEndedMessage {
  readonly v: 1;
  readonly run: string;
}
export interface SteeredMessage {
  readonly v: 1;
  readonly message: string;
}

export const decided = defineSignal<[DecidedMessage]>('pawl.decided');
/** A sub-agent's run tells its parent that it has ended. */
export const childEnded = defineSignal<[ChildEndedMessage]>('pawl.childEnded');
export const settled = defineSignal<[SettledMessage]>('pawl.settled');
export const paused = defineSignal<[ControlMessage]>('pawl.paused');
/** Also takes a `stuck` run up again, from its last good state. */
export const resumed = defineSignal<[ControlMessage]>('pawl.resumed');
/** Something was said: a message is there, or a session's user has ended it. */
export const steered = defineSignal<[SteeredMessage]>('pawl.steered');

/** What a live run says of itself. */
export interface RunStatusView {
  readonly v: 1;
  /** The kind of the step under way, or `stuck`. */
  readonly step: string;
  readonly detail: string;
  readonly turn: number;
  readonly sinceMs: number;
}
export const status = defineQuery<RunStatusView>('pawl.status');

/** The start argument of `agentRun`. The workflow id is the run key. */
export interface AgentRunInput<State = unknown> {
  readonly v: 1;
  readonly tenant: string;
  readonly runKey: string;
  readonly rootKey: string;
  readonly path: readonly string[];
  readonly agent: string;
  readonly generation: number;
  /** Waits for its user between turns. @default false */
  readonly session?: boolean;
  /** Of a sub-agent: the run that waits for it, and what it may use up. */
  readonly parent?: string;
  readonly limits?: {
    readonly depth: number;
    readonly costMicroUsd: number;
    readonly deadlineAtMs: number;
  };
  /** Of a fork: the turn that is decided anew. @default 1 */
  readonly turn?: number;
  /** Of a fork: what is undone before the first step. */
  readonly undo?: { readonly runKey: string; readonly effects: readonly string[] };
  /** Parsed and shown in the UI; left out beyond 64 KB (the run's row holds it). */
  readonly input?: unknown;
  /** Only where an execution before it ended or was lost: when the run began. */
  readonly again?: { readonly startedAtMs: number };
  /** Only after continue-as-new. */
  readonly carried?: State;
}

/** The start argument of `pawlCompensate`. */
export interface CompensateInput {
  readonly v: 1;
  readonly tenant: string;
  readonly runKey: string;
  /** Short ids (`ef_…`); absent: every effect of the run. */
  readonly effects?: readonly string[];
}
