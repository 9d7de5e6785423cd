// The port of the effect ledger: what the engine, the model step and the reconciler ask of its storage.
import type { Contract } from '../../domain/rules/contract.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { EffectView } from '../../domain/rules/next-move.ts';
import type { FactEntry, Observed } from '../../domain/rules/observe.ts';
import type { Claim, Control, Held, Standing } from '../../domain/rules/permit.ts';

import type { LedgerTransaction } from '../../domain/schemas/tool-context.ts';

export type { Claim, Control, FactEntry };

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
  /** How long after the lease a send may still become visible to the probe; null: `SETTLE_WINDOW_MS`. */
  readonly settleMs: number | null;
  readonly sendsMax: number;
  readonly fingerprint: string;
  readonly arguments: Json;
  readonly summary: string;
  readonly amount: { readonly minor: number; readonly currency: string } | null;
  readonly identityHash: string | null;
  readonly approvalId: string | null;
  /** The id of the effect that this one undoes; null for all others. */
  readonly compensates: string | null;
}

/** An effect as the ledger holds it now. */
export interface EffectRecord extends EffectIntent, Observed, Held {
  readonly wireKey: string;
  readonly leaseUntilMs: number | null;
  readonly firstSentAtMs: number | null;
  /** Since when every look-up has failed; null: the last one got an answer. */
  readonly probeFailingSinceMs: number | null;
  /** Another one after every change. */
  readonly version: string;
}

/** The exact bytes of an effect's one write. */
export interface FrozenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/** What another effect of the same identity means for this one. */
export type IdentityStanding = Standing<Json>;

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

export interface DispatchRequest {
  readonly tenant: string;
  readonly id: string;
  readonly claim: Claim;
  readonly request: FrozenRequest | null;
  readonly callsPerRunMax: number | undefined;
  /** An approval that says "both are meant" lets an effect pass beside the holder of its identity. */
  readonly ignoresIdentity: boolean;
  /** By what it is sent for the first time; kept with the permit. */
  readonly warrant?: Warrant | undefined;
  /** The effect as the caller last saw it: a ledger may save itself a look at what has not changed since. */
  readonly seen?: EffectRecord | undefined;
  /**
   * Given by a caller that has stored `seen` itself and has not looked at the ledger since. Permitted is only what is
   * still as it was stored, in a ledger whose sequence is not lower than the one that the run has seen.
   */
  readonly asStored?: AsStored | undefined;
}

/** The rule that was in force when a send was permitted. */
export interface Warrant {
  /** Its id; `pawl:workflow` and `pawl:compensation` where no policy is asked. */
  readonly rule: string;
  /** Hash of the policy; absent where none is asked. */
  readonly policy?: string;
  /** The approval that the rule asked for. */
  readonly approval?: string;
}

/** What permission is asked for, whatever is sent under it. */
export type Permission = Omit<DispatchRequest, 'request' | 'seen' | 'asStored'>;

export interface AsStored {
  readonly seqSeen: number;
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

/** The answer to a caller that has to look first: see `DispatchRequest.asStored`. */
export const NOT_AS_STORED: Extract<DispatchAnswer, { kind: 'not-permitted' }> = {
  kind: 'not-permitted',
  reason: 'it is not as it was stored: it has to be looked at',
};

export interface AppendAnswer {
  readonly record: EffectRecord;
  readonly seq: number;
}

/** What a transactional tool did; without `keepsRows` its rows are rolled back and the entries are stored. */
export interface TransactionEnd {
  readonly entries: readonly FactEntry[];
  readonly keepsRows: boolean;
}

export type TransactAnswer =
  ({ readonly kind: 'settled' } & AppendAnswer) | Exclude<DispatchAnswer, { kind: 'granted' }>;

/** What a list of effects says of one: no body, so that it can be read without keys. */
export interface OpenEffect extends Pick<
  EffectRecord,
  'tenant' | 'id' | 'shortId' | 'rootKey' | 'tool' | 'workflowId'
> {
  /** A sweep began to ask about it, and nothing came of that: the look may have killed its worker. */
  readonly isSuspect: boolean;
}

/** An effect with the workflows that wait for it: its own, and those of effects that mean the same. */
export interface ToWake extends Pick<EffectRecord, 'tenant' | 'id'> {
  readonly waiters: readonly { readonly effect: string; readonly workflowId: string }[];
}

export interface EffectLedger {
  /** Stores intents that are not there yet; never changes one that is. */
  intend(intents: readonly EffectIntent[]): Promise<void>;
  /** Reads the effect with everything that permission depends on; folds in human settlements that wait. */
  begin(
    tenant: string,
    id: string,
    rootKey: string,
    /** Stored first, as by `intend`, when the ledger does not know the effect. */
    intent?: EffectIntent,
  ): Promise<BeginAnswer | undefined>;
  /** The permission to send: durable when this returns `granted`. */
  dispatch(request: DispatchRequest): Promise<DispatchAnswer>;
  /**
   * Permission, the tool's rows and the outcome in one durable transaction. When `work` throws, nothing of it has
   * happened; when the answer to the commit is lost, the effect's row says what has (`LedgerUnavailable`).
   */
  transact(
    request: Permission,
    work: (tx: LedgerTransaction, record: EffectRecord) => Promise<TransactionEnd>,
  ): Promise<TransactAnswer>;
  /** Appends observations; never refused, however late. Durable when it returns. */
  append(
    tenant: string,
    id: string,
    entries: readonly FactEntry[],
    /** The effect as the caller last saw it, as in `DispatchRequest`. */
    seen?: EffectRecord,
  ): Promise<AppendAnswer>;
  /**
   * Stores what was concluded from an effect, such as a doubt from silence, if it is still as it was seen. Undefined:
   * it has changed, and nothing is stored; look again.
   */
  conclude(seen: EffectRecord, entries: readonly FactEntry[]): Promise<AppendAnswer | undefined>;
  /** Dispatched effects whose lease has ended; those that no sweep has asked about come first, the oldest before all. */
  findOverdue(limit: number): Promise<readonly OpenEffect[]>;
  /**
   * Effects in doubt whose receiver can be asked and was not asked for a while: as long as the doubt is old, at least a
   * minute and at most an hour. Of the given tools; those that have waited longest come first.
   */
  findDoubtsToAsk(tools: readonly string[], limit: number): Promise<readonly OpenEffect[]>;
  /** Notes that a sweep is about to ask; durable before it does, and the effect is another version of itself. */
  noteLook(tenant: string, id: string): Promise<void>;
  /** Effects that became definite while their workflow waited for that, until `noteWoken`. */
  findToWake(limit: number): Promise<readonly ToWake[]>;
  noteWoken(tenant: string, id: string): Promise<void>;
  request(tenant: string, id: string): Promise<FrozenRequest | undefined>;
}

/** The pure rules' view of a record. */
export function toView(record: EffectRecord): EffectView & Held {
  return {
    fence: record.fence,
    claimOrder: record.claimOrder,
    claimedBy: record.claimedBy,
    contract: record.contract,
    state: record.state,
    firstSentAtMs: record.firstSentAtMs ?? undefined,
    leaseUntilMs: record.leaseUntilMs ?? undefined,
    keyRetentionMs: record.keyRetentionMs ?? undefined,
    hasProbe: record.hasProbe,
    settleMs: record.settleMs ?? undefined,
    sendsMax: record.sendsMax,
  };
}
