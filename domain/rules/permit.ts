// Who may send now: claim, lease, control and identity, judged the same by every ledger and by the explorer.
import { type EffectState, type EffectStatus, isSettled } from './effect.ts';
import { type EffectView, nextMove } from './next-move.ts';

/** Who asks for permission to send. Ordered by when Temporal scheduled the attempt, never by its number. */
export interface Claim {
  readonly order: number;
  readonly by: string;
  readonly attempt: number;
  readonly leaseMs: number;
  /** How long Temporal has been trying the activity when it scheduled this attempt. @default 0 */
  readonly triedForMs?: number;
}

/** The claim that an effect carries: the fence of its last permit and whose it is. */
export interface Held {
  readonly fence: number;
  readonly claimOrder: number;
  readonly claimedBy: string | null;
}

/** What people ask of a run; read and locked before every send. */
export interface Control {
  readonly paused: boolean;
  readonly cancelled: boolean;
}

/**
 * A control that stops this send: what was sent before is settled, what was not is never sent. Undoing what a cancelled
 * run has done is what is left to do.
 */
export function stoppedBy(
  control: Control,
  effect: {
    readonly state: Pick<EffectState, 'sends'>;
    readonly compensates: string | null;
  },
): 'paused' | 'cancelled' | undefined {
  if (control.cancelled && effect.state.sends === 0 && effect.compensates === null) {
    return 'cancelled';
  }
  return control.paused ? 'paused' : undefined;
}

/** Why this claim may not send now, in words; undefined when it may. */
export function refuseClaim(
  view: EffectView & Held,
  claim: Claim,
  nowMs: number,
): string | undefined {
  if (isSettled(view.state.status)) return `it is ${view.state.status} already`;
  if (view.claimOrder > claim.order) return 'a later attempt has claimed it';
  const isOthers = view.claimedBy !== null && view.claimedBy !== claim.by;
  const isLive = (view.leaseUntilMs ?? 0) > nowMs;
  if (view.claimOrder === claim.order && isOthers && isLive) return 'another attempt is at work';
  const move = nextMove(view, nowMs);
  if (move.kind === 'send' || move.kind === 'resend') return undefined;
  return `the contract allows no send now (${move.kind})`;
}

/** The claim after a permit: every permit has a fence of its own. */
export function grant(held: Held, claim: Claim): Held {
  return { fence: held.fence + 1, claimOrder: claim.order, claimedBy: claim.by };
}

/** What another effect of the same identity means for one that was never sent. */
export type Standing<Output> =
  | { readonly kind: 'free' }
  /** The same intention with the same arguments was applied: its outcome is this one's. */
  | { readonly kind: 'already-applied'; readonly by: string; readonly output: Output }
  /** The first one is open or in doubt: this one waits. */
  | { readonly kind: 'blocked'; readonly by: string; readonly status: EffectStatus }
  /** Applied with other arguments: a human has to say that both are meant. */
  | { readonly kind: 'other-arguments'; readonly by: string };

/** The holder of an identity, as far as it decides about another effect. */
export interface Holder<Output> {
  readonly shortId: string;
  readonly state: Pick<EffectState, 'status'>;
  readonly fingerprint: string;
  readonly output: Output;
}

/** Law 2: how the holder of its identity stands towards an effect with this fingerprint. */
export function standingTowards<Output>(
  holder: Holder<Output> | undefined,
  fingerprint: string,
): Standing<Output> {
  if (!holder) return { kind: 'free' };
  const { shortId: by, state, output } = holder;
  if (state.status !== 'applied') return { kind: 'blocked', by, status: state.status };
  return holder.fingerprint === fingerprint
    ? { kind: 'already-applied', by, output }
    : { kind: 'other-arguments', by };
}
