// What the engine may do with an effect now: the safety core, shared by workers, the reconciler and the explorer.
import { unreachable } from './assert.ts';
import type { Contract } from './contract.ts';
import type { EffectState } from './effect.ts';

/** Everything that the decision depends on; times are the database's clock, in epoch milliseconds. */
export interface EffectView {
  readonly contract: Contract;
  readonly state: EffectState;
  /** When the first dispatch was committed; undefined before it. */
  readonly firstSentAtMs: number | undefined;
  /** Until when some claim may still be at work; undefined before the first dispatch. */
  readonly leaseUntilMs: number | undefined;
  /** How long the receiver honours the key; only for `keyed`. */
  readonly keyRetentionMs: number | undefined;
  readonly hasProbe: boolean;
  /** How long after the lease a send may still become visible to the probe. @default SETTLE_WINDOW_MS */
  readonly settleMs?: number | undefined;
  /** How many sends the tool's retry policy allows. */
  readonly sendsMax: number;
}

/** Consecutive conclusive `absent` probes that make a resend safe. */
export const ABSENTS_NEEDED = 2;
/** The time after the lease during which a receiver may still make a send visible, where its tool says nothing. */
export const SETTLE_WINDOW_MS = 2_000;
/** So long look-ups may fail one after the other before that is a doubt. */
export const LOOK_PATIENCE_MS = 120_000;
/** A key is trusted for this share of its retention: clocks differ. */
export const RETENTION_SHARE = 0.9;

export type Move =
  /** Settled: return the recorded outcome, send nothing. */
  | { readonly kind: 'return' }
  /** Never sent: send. */
  | { readonly kind: 'send' }
  /** Send the stored bytes again with the stored key. */
  | { readonly kind: 'resend' }
  | { readonly kind: 'probe' }
  /** Somebody may still be at work: conclude nothing before then. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'doubt'; readonly reason: string };

/** The only legal next move (design, section 4: the contract table). */
export function nextMove(view: EffectView, nowMs: number): Move {
  const { status } = view.state;
  switch (status) {
    case 'applied':
    case 'refused':
      return { kind: 'return' };
    case 'intended':
      return { kind: 'send' };
    case 'in_doubt':
      return view.hasProbe ? { kind: 'probe' } : { kind: 'return' };
    case 'dispatched':
      return afterDispatch(view, nowMs);
    default:
      return unreachable(status);
  }
}

function afterDispatch(view: EffectView, nowMs: number): Move {
  if (view.state.isPending) return whilePending(view, nowMs);
  // Permit, rows and outcome are one commit: a permit without outcome means that the tool has committed by itself.
  if (view.contract === 'transactional')
    return conclude(view, nowMs, 'the tool ended the transaction itself');
  if (view.contract === 'keyed' && isInsideHorizon(view, nowMs)) {
    return view.state.sends < view.sendsMax
      ? resendByKey(view, nowMs)
      : conclude(view, nowMs, `no definite answer after ${view.state.sends} sends`);
  }
  const why =
    view.contract === 'keyed'
      ? 'sent, no definite answer, and the receiver no longer honours the key'
      : 'sent, no definite answer, and the receiver offers nothing to ask';
  return conclude(view, nowMs, why);
}

/**
 * At once, but for the last send: a receiver that is still at work on an earlier one refuses the key until it is done, and
 * quick resends would be used up by that.
 */
function resendByKey(
  { state: { sends }, sendsMax, leaseUntilMs = 0 }: EffectView,
  nowMs: number,
): Move {
  const isLast = sends > 1 && sends === sendsMax - 1;
  return isLast && nowMs < leaseUntilMs
    ? { kind: 'wait', untilMs: leaseUntilMs }
    : { kind: 'resend' };
}

/** The receiver has accepted it: nothing is sent again, and its silence is a doubt once its time is up. */
function whilePending({ leaseUntilMs = 0, hasProbe }: EffectView, nowMs: number): Move {
  if (nowMs >= leaseUntilMs) {
    return {
      kind: 'doubt',
      reason: 'accepted by the receiver, which has not said what became of it',
    };
  }
  return hasProbe ? { kind: 'probe' } : { kind: 'wait', untilMs: leaseUntilMs };
}

/** Nobody may be at work any more before anything is concluded from silence. */
function conclude(view: EffectView, nowMs: number, why: string): Move {
  const leaseUntilMs = view.leaseUntilMs ?? nowMs;
  if (nowMs < leaseUntilMs) return { kind: 'wait', untilMs: leaseUntilMs };
  if (!view.hasProbe || view.contract === 'once' || view.contract === 'transactional')
    return { kind: 'doubt', reason: why };
  if (view.state.absents < ABSENTS_NEEDED) return { kind: 'probe' };
  const settledAtMs = leaseUntilMs + (view.settleMs ?? SETTLE_WINDOW_MS);
  if (nowMs < settledAtMs) return { kind: 'wait', untilMs: settledAtMs };
  if (view.state.sends >= view.sendsMax) return { kind: 'doubt', reason: why };
  return { kind: 'resend' };
}

/** Some send may have been done: not proven unsent, and not concluded from probes to be absent. */
export function hasOpenSend(state: EffectState): boolean {
  return state.sends > 0 && state.absents < ABSENTS_NEEDED;
}

function isInsideHorizon(view: EffectView, nowMs: number): boolean {
  if (view.keyRetentionMs === undefined || view.firstSentAtMs === undefined) return false;
  return nowMs < view.firstSentAtMs + view.keyRetentionMs * RETENTION_SHARE;
}
