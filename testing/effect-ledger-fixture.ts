// What the conformance cases of an effect ledger share: intents, claims and requests, each with a name of its own.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Claim,
  DispatchAnswer,
  DispatchRequest,
  EffectIntent,
  EffectLedger,
  EffectRecord,
  FactEntry,
  FrozenRequest,
} from '../activities/ledger/effect-ledger.ts';
import type { Fact } from '../domain/rules/effect.ts';
import { effectId } from '../domain/rules/ids.ts';
import type { Json } from '../domain/rules/json.ts';

/** A fact as it is stored. */
export interface StoredFact {
  readonly ordinal: number;
  readonly kind: string;
  readonly source: string;
  readonly fence: number | null;
  readonly data: Readonly<Record<string, Json>>;
}

/** A human's word about an effect, as the client writes it. */
export interface Settlement {
  readonly id: string;
  readonly outcome: 'applied' | 'not_applied';
  readonly output?: Json;
}

/** A ledger with what happens beside it: people write controls and settlements, audits read facts. */
export interface LedgerUnderTest {
  readonly ledger: EffectLedger;
  setControl(
    tenant: string,
    runKey: string,
    control: { readonly paused?: boolean; readonly cancelled?: boolean },
  ): Promise<void>;
  settle(effect: EffectIntent, settlement: Settlement): Promise<void>;
  facts(effect: EffectIntent): Promise<readonly StoredFact[]>;
}

/** The suite's hands on one ledger, there once the tests run. */
export interface Suite {
  readonly under: () => LedgerUnderTest;
  readonly bench: () => Bench;
}

/** Every run, tool and identity of the cases is new: they share one ledger and never meet. */
export function newIntent(change: Partial<EffectIntent> = {}): EffectIntent {
  const unique = randomUUID();
  const runKey = change.runKey ?? `run_${unique}`;
  const rootKey = change.rootKey ?? runKey;
  const { tenant = 'acme', turn = 1, call = unique, generation = 0 } = change;
  return {
    tenant,
    id: effectId({ tenant, rootKey, path: [], turn, call, generation }),
    shortId: `ef_${unique}`,
    runKey,
    rootKey,
    turn,
    call,
    generation,
    workflowId: null,
    tool: 'pay',
    contract: 'once',
    keyRetentionMs: change.contract === 'keyed' ? 86_400_000 : null,
    hasProbe: change.contract === 'reconcilable',
    settleMs: null,
    sendsMax: 4,
    fingerprint: 'f1',
    arguments: { cents: 100 },
    summary: 'pay',
    amount: null,
    identityHash: null,
    approvalId: null,
    compensates: null,
    ...change,
  };
}

export function newClaim(change: Partial<Claim> = {}): Claim {
  return { order: 1, by: 'a', attempt: 1, leaseMs: 30_000, ...change };
}

export const REQUEST: FrozenRequest = {
  method: 'POST',
  url: 'https://bank.example/transfers?x=1',
  headers: [
    ['content-type', 'application/json'],
    ['x-twice', 'b'],
    ['x-twice', 'a'],
  ],
  body: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
};

/** What may change of a dispatch. */
export type DispatchChange = Partial<Claim> & Partial<Omit<DispatchRequest, 'claim'>>;

/** One ledger with the few calls that every case makes. */
export function createBench({ ledger, facts }: LedgerUnderTest): Bench {
  const bench: Bench = {
    async intended(change) {
      const intent = newIntent(change);
      await ledger.intend([intent]);
      return intent;
    },
    dispatch({ tenant, id }, { order, by, attempt, leaseMs, ...more } = {}) {
      const given = Object.entries({ order, by, attempt, leaseMs }).filter(
        ([, value]) => value !== undefined,
      );
      const claim = newClaim(Object.fromEntries(given));
      const defaults = { request: REQUEST, callsPerRunMax: undefined, ignoresIdentity: false };
      return ledger.dispatch({ tenant, id, claim, ...defaults, ...more });
    },
    async dispatched(change, dispatch) {
      const intent = await bench.intended(change);
      const answer = await bench.dispatch(intent, dispatch);
      if (answer.kind !== 'granted')
        throw new Error(`The dispatch was not granted: ${answer.kind}`);
      return intent;
    },
    async append({ tenant, id }, ...facts) {
      const entries = facts.map((fact) => ('fact' in fact ? fact : { fact }));
      return (await ledger.append(tenant, id, entries)).record;
    },
    async read({ tenant, id, rootKey }) {
      const begin = await ledger.begin(tenant, id, rootKey);
      if (!begin) throw new Error(`The ledger does not know ${id}`);
      return begin.record;
    },
    async leaseEnds({ tenant, id, rootKey }) {
      for (;;) {
        const begin = await ledger.begin(tenant, id, rootKey);
        if (begin && begin.nowMs > (begin.record.leaseUntilMs ?? 0)) return;
        await sleep(5);
      }
    },
    async kinds(intent) {
      return (await facts(intent)).map(({ kind }) => kind);
    },
  };
  return bench;
}

export interface Bench {
  intended(change?: Partial<EffectIntent>): Promise<EffectIntent>;
  dispatch(intent: EffectIntent, change?: DispatchChange): Promise<DispatchAnswer>;
  /** An effect whose first dispatch was granted. */
  dispatched(change?: Partial<EffectIntent>, dispatch?: DispatchChange): Promise<EffectIntent>;
  append(intent: EffectIntent, ...facts: readonly (Fact | FactEntry)[]): Promise<EffectRecord>;
  read(intent: EffectIntent): Promise<EffectRecord>;
  /** Resolves when the lease of the effect is over, on the ledger's own clock. */
  leaseEnds(intent: EffectIntent): Promise<void>;
  /** The kinds of its facts, in order. */
  kinds(intent: EffectIntent): Promise<readonly string[]>;
}

export const APPLIED: Fact = { kind: 'applied', source: 'response', output: { id: 'tr_1' } };
export const REFUSED: Fact = { kind: 'refused', source: 'response', code: 'no', message: 'no' };
export const DOUBTED: Fact = { kind: 'doubted', reason: 'nobody knows' };
export const AMBIGUOUS: Fact = { kind: 'ambiguous', reason: 'reset' };
export const NOT_SENT: Fact = { kind: 'not_sent', reason: 'ECONNREFUSED' };
