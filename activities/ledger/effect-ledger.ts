// The port of the effect ledger: what the engine, the model step and the reconciler ask of its storage.
import type { Contract } from '../../domain/rules/contract.ts';
import type { EffectState, Fact } from '../../domain/rules/effect.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { EffectView } from '../../domain/rules/next-move.ts';

/** An effect before anything happened: all of it is fixed for ever. */
export interface EffectIntent {
  readonly tenant: string;
  readonly id: string;
  readonly shortId: string;
  readonly runKey: string;
  readonly rootKey: string;
  readonly turn: number;
  readonly call: string;
  readonly generation: number;
  readonly workflowId: string | null;
  readonly tool: string;
  readonly contract: Contract;
  readonly keyRetentionMs: number | null;
  readonly hasProbe: boolean;
  readonly sendsMax: number;
  readonly fingerprint: string;
  readonly arguments: Json;
  readonly summary: string;
  readonly amount: { readonly minor: number; readonly currency: string } | null;
  readonly identityHash: string | null;
  readonly approvalId: string | null;
}

/** An effect as the ledger holds it now. */
export interface EffectRecord extends EffectIntent {
  readonly wireKey: string;
  readonly state: EffectState;
  readonly output: Json;
  /** Why the output does not match the tool's schema; the effect is applied all the same. */
  readonly outputProblem: string | null;
  readonly sameAs: string | null;
  readonly fence: number;
  readonly claimOrder: number;
  readonly claimedBy: string | null;
  readonly leaseUntilMs: number | null;
  readonly firstSentAtMs: number | null;
}

/** The exact bytes of an effect's one write. */
export interface FrozenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

export interface Control {
  readonly paused: boolean;
  readonly cancelled: boolean;
}

/** What another effect of the same identity means for this one. */
export type IdentityStanding =
  | { readonly kind: 'free' }
  /** The same intention with the same arguments was applied: its outcome is this one's. */
  | { readonly kind: 'already-applied'; readonly by: string; readonly output: Json }
  /** The first one is open or in doubt: this one waits. */
  | { readonly kind: 'blocked'; readonly by: string; readonly status: string }
  /** Applied with other arguments: a human has to say that both are meant. */
  | { readonly kind: 'other-arguments'; readonly by: string };

export interface BeginAnswer {
  readonly record: EffectRecord;
  readonly control: Control;
  readonly identity: IdentityStanding;
  /** The decision on `record.approvalId`, when there is one. */
  readonly decision: ApprovalStanding | null;
  readonly seq: number;
  /** The database's clock. */
  readonly nowMs: number;
}

export interface ApprovalStanding {
  readonly id: string;
  readonly fingerprint: string;
  readonly toolPin: string;
  readonly requirement: string;
  readonly expiresAtMs: number;
  readonly decision: 'approve' | 'deny' | null;
  readonly decidedAtMs: number | null;
  readonly approver: string | null;
  readonly reason: string | null;
  /** The decision was made on exactly this approval's content. */
  readonly isBound: boolean;
}

/** Who asks for permission to send. Ordered by when Temporal scheduled the attempt, never by its number. */
export interface Claim {
  readonly order: number;
  readonly by: string;
  readonly attempt: number;
  readonly leaseMs: number;
}

export interface DispatchRequest {
  readonly tenant: string;
  readonly id: string;
  readonly claim: Claim;
  readonly request: FrozenRequest | null;
  readonly callsPerRunMax: number | undefined;
  /** An approval that says "both are meant" lets an effect pass beside the holder of its identity. */
  readonly ignoresIdentity: boolean;
}

export type DispatchAnswer =
  | {
      readonly kind: 'granted';
      readonly record: EffectRecord;
      /** The stored bytes: those of the first dispatch, whatever the caller brought. */
      readonly request: FrozenRequest | null;
      readonly isResend: boolean;
    }
  | { readonly kind: 'paused' }
  | { readonly kind: 'cancelled' }
  /** A later attempt has claimed, or the record allows no send now. */
  | { readonly kind: 'not-permitted'; readonly reason: string }
  | { readonly kind: 'limit'; readonly max: number }
  | { readonly kind: 'identity'; readonly standing: IdentityStanding };

/** A fact with what the audit needs beside it. */
export interface FactEntry {
  readonly fact: Fact;
  readonly attempt?: number;
  readonly fence?: number;
  /** Why the output does not match the tool's schema. */
  readonly outputProblem?: string;
  readonly details?: Readonly<Record<string, Json>>;
}

export interface AppendAnswer {
  readonly record: EffectRecord;
  readonly seq: number;
}

export interface EffectLedger {
  /** Stores intents that are not there yet; never changes one that is. */
  intend(intents: readonly EffectIntent[]): Promise<void>;
  /** Reads the effect with everything that permission depends on; folds in human settlements that wait. */
  begin(tenant: string, id: string, rootKey: string): Promise<BeginAnswer | undefined>;
  /** The permission to send: durable when this returns `granted`. */
  dispatch(request: DispatchRequest): Promise<DispatchAnswer>;
  /** Appends observations; never refused, however late. Durable when it returns. */
  append(tenant: string, id: string, entries: readonly FactEntry[]): Promise<AppendAnswer>;
  /** Dispatched effects whose lease has ended, oldest first. */
  findOverdue(limit: number): Promise<readonly EffectRecord[]>;
  request(tenant: string, id: string): Promise<FrozenRequest | undefined>;
}

/** The pure rules' view of a record. */
export function toView(record: EffectRecord): EffectView {
  return {
    contract: record.contract,
    state: record.state,
    firstSentAtMs: record.firstSentAtMs ?? undefined,
    leaseUntilMs: record.leaseUntilMs ?? undefined,
    keyRetentionMs: record.keyRetentionMs ?? undefined,
    hasProbe: record.hasProbe,
    sendsMax: record.sendsMax,
  };
}
