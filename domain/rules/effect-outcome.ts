// How one activity on one effect ended, as it crosses the boundary to a workflow.
import type { EffectAddress } from './ids.ts';
import type { Fact } from './effect.ts';
import type { Json } from './json.ts';

export type EffectOutcome =
  | {
      readonly kind: 'applied';
      readonly output: Json;
      /** Another call with the same identity had done it: nothing was sent. */
      readonly alreadyApplied: boolean;
      /** Why the output does not match the tool's schema; the effect is applied all the same. */
      readonly outputProblem?: string | undefined;
      readonly seq: number;
    }
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly message: string;
      readonly seq: number;
    }
  | {
      readonly kind: 'in_doubt';
      readonly reason: string;
      /** Short id of the effect that its settlement is signalled for; absent: nobody signals this workflow. */
      readonly effect?: string | undefined;
      readonly seq: number;
    }
  /** The receiver has accepted it; a callback, a probe or the end of its time brings the outcome. */
  | {
      readonly kind: 'pending';
      readonly reference: string | null;
      readonly untilMs: number;
      readonly effect?: string | undefined;
      readonly seq: number;
    }
  /** The tool's code failed before anything was sent, and its retries are used. */
  | { readonly kind: 'failed'; readonly message: string; readonly seq: number }
  | {
      readonly kind: 'awaiting_approval';
      readonly approval: { readonly id: string; readonly expiresAtMs: number };
    }
  | { readonly kind: 'paused' }
  /** The outcome is known and the ledger is down: it travels through history and is written back later. */
  | ({ readonly kind: 'unrecorded' } & Unrecorded);

/** What the ledger could not take; an activity writes it back before the workflow goes on. */
export interface Unrecorded {
  readonly effect: string;
  readonly facts: readonly Fact[];
  /** The fence of the send that they are about. */
  readonly fence?: number | undefined;
  /** Why the applied output does not match the tool's schema. */
  readonly outputProblem?: string | undefined;
  /** By the ledger's secret, over all of the above and the tenant; absent in what older builds carry: not stored. */
  readonly mac?: string | undefined;
}

/** Of a `local` tool: its workflow task is lost after 4 s, and holds back the run's signals meanwhile. */
export const LOCAL_TIMEOUT_MAX_MS = 2_000;

/** Where an attempt stands that is not the activity's own count: set for `local` tools alone. */
export interface LocalAttempt {
  /** Of a local activity: its workflow's time when it was asked for, which is the server's (epoch milliseconds). */
  readonly askedAtMs?: number;
  /** Of the activity behind it. @default 0 */
  readonly attemptsBefore?: number;
}

/** The input of a `tool.<name>` activity: a call of an agent run (arguments are in the ledger) or a plain step. */
export type ToolActivityInput =
  | ({
      readonly v: 1;
      readonly kind: 'calls';
      readonly address: Omit<EffectAddress, 'call'>;
      readonly runKey: string;
      readonly calls: readonly string[];
      readonly seq: number;
    } & LocalAttempt)
  | ({
      readonly v: 1;
      readonly kind: 'step';
      readonly address: EffectAddress;
      readonly runKey: string;
      readonly input: Json;
      readonly seq: number;
    } & LocalAttempt)
  | {
      readonly v: 1;
      readonly kind: 'compensate';
      readonly tenant: string;
      readonly rootKey: string;
      readonly runKey: string;
      /** The id of the effect to undo. */
      readonly effect: string;
      readonly seq: number;
    };
