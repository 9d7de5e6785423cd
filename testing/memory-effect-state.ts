// The state of the in-memory ledger and the steps on it that never give way: judge, fold and store, by the shared rules.
import { toJson, wireKey } from '../activities/effects/fingerprint.ts';
import {
  type AppendAnswer,
  type ApprovalStanding,
  type Control,
  type DispatchAnswer,
  type EffectIntent,
  type EffectRecord,
  type FactEntry,
  type FrozenRequest,
  type IdentityStanding,
  type Permission,
  toView,
} from '../activities/ledger/effect-ledger.ts';
import { toIntendedRecord } from '../activities/ledger/effect-rows.ts';
import { toStorable } from '../activities/ledger/storable.ts';
import { observe } from '../domain/rules/observe.ts';
import { grant, refuseClaim, standingTowards, stoppedBy } from '../domain/rules/permit.ts';
import type { StoredFact } from './effect-ledger-fixture.ts';

/** One effect with its facts. */
export interface Entry {
  readonly record: EffectRecord;
  readonly facts: readonly StoredFact[];
}

/** An effect after further facts, not stored yet. */
export interface Folded extends Entry {
  readonly becameDefinite: boolean;
  readonly isNews: boolean;
}

export interface MemoryState {
  readonly clock: { nowMs(): number };
  readonly entries: Map<string, Entry>;
  readonly requests: Map<string, FrozenRequest>;
  readonly controls: Map<string, Control>;
  readonly approvals: Map<string, ApprovalStanding>;
  readonly seqs: Map<string, number>;
  /** When each effect was last changed, and when a sweep last began to ask about it. */
  readonly changedAtMs: Map<string, number>;
  readonly lookedAtMs: Map<string, number>;
  /** Effects whose workflow has to be signalled. */
  readonly wakeDue: Set<string>;
}

export type Denial = Exclude<DispatchAnswer, { kind: 'granted' }>;

export function createMemoryState(clock: { nowMs(): number }): MemoryState {
  return {
    clock,
    entries: new Map(),
    requests: new Map(),
    controls: new Map(),
    approvals: new Map(),
    seqs: new Map(),
    changedAtMs: new Map(),
    lookedAtMs: new Map(),
    wakeDue: new Set(),
  };
}

/** Everything is kept by tenant. */
export function keyOf(tenant: string, name: string): string {
  return `${tenant}\n${name}`;
}

export function recordsOf({ entries }: MemoryState): EffectRecord[] {
  return [...entries.values()].map(({ record }) => record);
}

/** Throws for an effect that was never intended. */
export function entryOf({ entries }: MemoryState, tenant: string, id: string): Entry {
  const entry = entries.get(keyOf(tenant, id));
  if (!entry) throw new Error(`The ledger does not know the effect ${id}`);
  return entry;
}

const NO_CONTROL: Control = { paused: false, cancelled: false };

export function controlOf(
  { controls }: MemoryState,
  { tenant, runKey }: Pick<EffectRecord, 'tenant' | 'runKey'>,
): Control {
  return controls.get(keyOf(tenant, runKey)) ?? NO_CONTROL;
}

function holderOf(
  state: MemoryState,
  { tenant, id, tool, identityHash }: EffectRecord,
): EffectRecord | undefined {
  if (identityHash === null) return undefined;
  return recordsOf(state).find(
    (other) =>
      other.holdsIdentity &&
      other.identityHash === identityHash &&
      other.tool === tool &&
      other.tenant === tenant &&
      other.id !== id,
  );
}

/** How the identity of an effect stands. */
export function identityOf(state: MemoryState, record: EffectRecord): IdentityStanding {
  if (record.identityHash === null || record.state.sends > 0) return { kind: 'free' };
  return standingTowards(holderOf(state, record), record.fingerprint);
}

/** The effect after the entries; stores nothing. */
export function fold(state: MemoryState, before: Entry, given: readonly FactEntry[]): Folded {
  const fresh: FactEntry[] = [];
  let { facts } = before;
  for (const entry of toStorable(given)) {
    if (isSaidAlready(facts, entry)) continue;
    fresh.push(entry);
    facts = [...facts, toStored(entry, facts.length + 1)];
  }
  const isFree = holderOf(state, before.record) === undefined;
  const observed = observe(before.record, fresh, isFree);
  const { after, leaseMs, becameDefinite, isLookFailing, isNews } = observed;
  const nowMs = state.clock.nowMs();
  const lease = leaseMs === undefined ? {} : { leaseUntilMs: nowMs + leaseMs };
  const probeFailingSinceMs = isLookFailing ? (before.record.probeFailingSinceMs ?? nowMs) : null;
  // What is behind the number stays: no two states of an effect share a version.
  const version = `${facts.length}${before.record.version.replace(/^\d*/, '')}`;
  const record = { ...before.record, ...after, ...lease, probeFailingSinceMs, version };
  return { record, facts, becameDefinite, isNews };
}

/** Stores what `fold` made of an effect, with what hangs on it: the run's sequence, the identity of what it undoes. */
export function keep(state: MemoryState, folded: Folded): AppendAnswer {
  const { record, facts, becameDefinite, isNews } = folded;
  store(state, { record, facts });
  if (isNews && record.workflowId !== null) state.wakeDue.add(keyOf(record.tenant, record.id));
  const root = keyOf(record.tenant, record.rootKey);
  const seq = (state.seqs.get(root) ?? 0) + (becameDefinite ? 1 : 0);
  state.seqs.set(root, seq);
  const undone = record.compensates && state.entries.get(keyOf(record.tenant, record.compensates));
  if (undone && becameDefinite && record.state.status === 'applied') {
    const version = `${undone.record.version}-undone`;
    store(state, { ...undone, record: { ...undone.record, holdsIdentity: false, version } });
  }
  return { record, seq };
}

function store({ entries, changedAtMs, clock }: MemoryState, entry: Entry): void {
  const key = keyOf(entry.record.tenant, entry.record.id);
  entries.set(key, entry);
  changedAtMs.set(key, clock.nowMs());
}

/** A sweep is about to ask: the effect is another version of itself. */
export function noteLook(state: MemoryState, { record, facts }: Entry): void {
  const key = keyOf(record.tenant, record.id);
  state.entries.set(key, { record: { ...record, version: `${record.version}-looked` }, facts });
  state.lookedAtMs.set(key, state.clock.nowMs());
}

/** The effect when it may be sent now; otherwise why not. */
export function permit(state: MemoryState, request: Permission): EffectRecord | Denial {
  const { tenant, id, claim, callsPerRunMax: max } = request;
  const record = state.entries.get(keyOf(tenant, id))?.record;
  if (!record) return { kind: 'not-permitted', reason: 'the ledger does not know this effect' };
  const stop = stoppedBy(controlOf(state, record), record);
  if (stop) return { kind: stop };
  const reason = refuseClaim(toView(record), claim, state.clock.nowMs());
  if (reason !== undefined) return { kind: 'not-permitted', reason };
  if (!request.ignoresIdentity && record.state.sends === 0) {
    const standing = identityOf(state, record);
    if (standing.kind !== 'free') return { kind: 'identity', standing };
  }
  if (max === undefined || record.state.sends > 0) return record;
  return callsOf(state, record) >= max ? { kind: 'limit', max } : record;
}

function callsOf(state: MemoryState, { tenant, runKey, tool }: EffectRecord): number {
  return recordsOf(state).filter(
    (other) =>
      other.state.sends > 0 &&
      other.tool === tool &&
      other.runKey === runKey &&
      other.tenant === tenant,
  ).length;
}

/** The effect with fence, lease, identity and the fact of its permit; stores nothing. */
export function claimed(
  state: MemoryState,
  record: EffectRecord,
  { claim, ignoresIdentity }: Permission,
): Folded {
  const nowMs = state.clock.nowMs();
  const held = grant(record, claim);
  const takesIdentity = !ignoresIdentity && record.identityHash !== null;
  const leased: EffectRecord = {
    ...record,
    ...held,
    leaseUntilMs: nowMs + claim.leaseMs,
    firstSentAtMs: record.state.sends === 0 ? nowMs : record.firstSentAtMs,
    holdsIdentity: record.holdsIdentity || takesIdentity,
  };
  const { facts } = entryOf(state, record.tenant, record.id);
  const { attempt, by } = claim;
  const dispatched: FactEntry = {
    fact: { kind: 'dispatched' },
    attempt,
    fence: held.fence,
    details: { by },
  };
  return fold(state, { record: leased, facts }, [dispatched]);
}

/** An effect of which nothing is known but what is intended. */
export function toEntry(intent: EffectIntent): Entry {
  const stored = { ...intent, arguments: toJson(intent.arguments) };
  return { record: toIntendedRecord(stored, wireKey(KEY_SECRET, intent.id), ''), facts: [] };
}

const KEY_SECRET = Buffer.from('an in-memory ledger has no secrets');

function toStored({ fact, fence, details }: FactEntry, ordinal: number): StoredFact {
  const { kind, ...rest } = fact;
  const { source = 'engine', ...data } = rest as { source?: string } & StoredFact['data'];
  const stored = toJson({ ...data, ...details }) as StoredFact['data'];
  return { ordinal, kind, source, fence: fence ?? null, data: stored };
}

/** A permit is given back once: an append is repeated when the answer to its commit was lost. */
function isSaidAlready(facts: readonly StoredFact[], { fact, fence }: FactEntry): boolean {
  if (fact.kind !== 'not_sent' || fence === undefined) return false;
  return facts.some((said) => said.kind === 'not_sent' && said.fence === fence);
}
