// The life of one effect: its states, the facts that move it, and the fold; no other code decides a state.
import { assert, unreachable } from './assert.ts';
import type { Json } from './json.ts';

/** `intended -> dispatched -> applied | refused | in_doubt`; a later fact moves `in_doubt` on. */
export const EffectStatus = {
  Intended: 'intended',
  Dispatched: 'dispatched',
  Applied: 'applied',
  Refused: 'refused',
  InDoubt: 'in_doubt',
} as const;
export type EffectStatus = (typeof EffectStatus)[keyof typeof EffectStatus];

/** Who observed an outcome. */
export type FactSource = 'response' | 'probe' | 'webhook' | 'human' | 'reconciler' | 'engine';

/** What can be observed or decided about an effect; appended, never changed, never refused. */
export type Fact =
  | { readonly kind: 'intended' }
  /** Permission to send was committed; the send may or may not have reached the wire. */
  | { readonly kind: 'dispatched' }
  /** The connection was never made, so this one dispatch provably sent nothing. */
  | { readonly kind: 'not_sent'; readonly reason: string }
  /** The send ended without a definite answer. `isAtWork`: the receiver says that it is still busy with an earlier one. */
  | { readonly kind: 'ambiguous'; readonly reason: string; readonly isAtWork?: true }
  /** The receiver has accepted it and will say later, within this time, what became of it. */
  | {
      readonly kind: 'pending';
      /** The receiver's own name for it, where it gives one: a callback may carry nothing else. */
      readonly reference: string | null;
      readonly withinMs: number;
    }
  | { readonly kind: 'applied'; readonly source: FactSource; readonly output: Json }
  /** The receiver documents that nothing was done. */
  | {
      readonly kind: 'refused';
      readonly source: FactSource;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'probed_absent' }
  /** `hasFailed`: the receiver could not be asked, which says nothing and is tried again for a while. */
  | { readonly kind: 'probed_unclear'; readonly reason: string; readonly hasFailed?: true }
  /** Pawl gives up guessing: a human has to look. */
  | { readonly kind: 'doubted'; readonly reason: string }
  /** Denied, forbidden, expired or cancelled before any send. */
  | { readonly kind: 'withdrawn'; readonly code: string; readonly message: string };
export type FactKind = Fact['kind'];

/** The fold of an effect's facts. */
export interface EffectState {
  readonly status: EffectStatus;
  /** Dispatches that are not proven unsent. */
  readonly sends: number;
  /** Conclusive `absent` probes since the last dispatch. */
  readonly absents: number;
  /** Dispatched, and the receiver has said that it is at work: its word is waited for. */
  readonly isPending?: true | undefined;
  /** Two definite observations contradict each other: a human has to look, whatever the status. */
  readonly conflict: boolean;
  /** The receiver's or Pawl's code of a refusal, such as `card_declined`; absent otherwise. */
  readonly code?: string | undefined;
  /** Why it is refused or in doubt, in words; absent otherwise. */
  readonly reason?: string | undefined;
}

export const INTENDED: EffectState = {
  status: EffectStatus.Intended,
  sends: 0,
  absents: 0,
  conflict: false,
};

/** True when the outcome is definite. */
export function isSettled(status: EffectStatus): boolean {
  return status === EffectStatus.Applied || status === EffectStatus.Refused;
}

/** The next state. Every fact is accepted in every state: what cannot be right is marked as a conflict. */
export function foldFact(state: EffectState, fact: Fact): EffectState {
  switch (fact.kind) {
    case 'intended':
      return state;
    case 'dispatched':
      assert(!isSettled(state.status), `a settled effect may not be dispatched (${state.status})`);
      return {
        ...state,
        status: 'dispatched',
        sends: state.sends + 1,
        absents: 0,
        isPending: undefined,
        code: undefined,
        reason: undefined,
      };
    case 'not_sent':
      return foldNotSent(state);
    case 'ambiguous':
      return state;
    case 'pending':
      return state.status === 'dispatched' ? { ...state, isPending: true } : state;
    case 'probed_absent':
      return isSettled(state.status) ? state : { ...state, absents: state.absents + 1 };
    case 'probed_unclear':
      return state;
    case 'applied':
      return {
        ...state,
        status: 'applied',
        conflict: !endsConflict(state, fact) && (state.conflict || wasRefused(state)),
        isPending: undefined,
        code: undefined,
        reason: undefined,
      };
    case 'refused':
      // What a workflow was told stays told.
      if (state.status === 'applied') return { ...state, conflict: !endsConflict(state, fact) };
      return refuse(state, fact);
    case 'doubted':
      if (isSettled(state.status)) return state;
      return {
        ...state,
        status: 'in_doubt',
        isPending: undefined,
        code: undefined,
        reason: fact.reason,
      };
    case 'withdrawn':
      return state.status === 'intended' ? refuse(state, fact) : state;
    default:
      return unreachable(fact);
  }
}

function refuse(
  state: EffectState,
  { code, message }: { readonly code: string; readonly message: string },
): EffectState {
  return { ...state, status: 'refused', isPending: undefined, code, reason: message };
}

/** A human who looks at a contradiction has the last word on it; one who contradicts begins one. */
function endsConflict(state: EffectState, { source }: { readonly source: FactSource }): boolean {
  return state.conflict && source === 'human';
}

function wasRefused(state: EffectState): boolean {
  return state.status === 'refused';
}

function foldNotSent(state: EffectState): EffectState {
  const sends = Math.max(0, state.sends - 1);
  if (state.status !== 'dispatched') return { ...state, sends };
  if (sends > 0) return { ...state, sends };
  return { ...state, sends, status: 'intended', isPending: undefined };
}
