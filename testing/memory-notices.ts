// What people and receivers have written about effects of the in-memory ledger, until a look folds it in as facts.
import type { EffectRecord, FactEntry } from '../activities/ledger/effect-ledger.ts';
import type { Json } from '../domain/rules/json.ts';
import type { Settlement, StoredFact } from './effect-ledger-fixture.ts';

/** A receiver's last word; it names the effect by the key that was sent or by its own reference. */
export interface Callback {
  readonly id: string;
  readonly tenant: string;
  readonly tool: string;
  readonly wireKey?: string;
  readonly reference?: string;
  readonly outcome: 'applied' | 'refused';
  readonly output?: Json;
  readonly code?: string;
  readonly message?: string;
}

export interface Notice {
  readonly id: string;
  readonly entry: FactEntry;
}

export interface MemoryNotices {
  settle(tenant: string, effect: string, settlement: Settlement): void;
  callBack(callback: Callback): void;
  /** What no fact names yet; a human's word comes last. */
  named(record: EffectRecord, facts: readonly StoredFact[]): readonly Notice[];
  waiting(record: EffectRecord, facts: readonly StoredFact[]): readonly FactEntry[];
}

export function createMemoryNotices(): MemoryNotices {
  const settlements: (Settlement & { readonly tenant: string; readonly effect: string })[] = [];
  const callbacks: Callback[] = [];
  const isFor = (record: EffectRecord) => (callback: Callback) =>
    callback.tenant === record.tenant &&
    callback.tool === record.tool &&
    (callback.wireKey === record.wireKey ||
      (callback.reference !== undefined && callback.reference === record.reference));
  const named: MemoryNotices['named'] = (record, facts) => {
    const said = (kind: string, id: string): boolean => facts.some(({ data }) => data[kind] === id);
    const called = callbacks.filter(isFor(record)).filter(({ id }) => !said('callback', id));
    const settled = settlements.filter(
      ({ tenant, effect, id }) =>
        tenant === record.tenant && effect === record.id && !said('settlement', id),
    );
    return [
      ...called.map((each) => ({ id: each.id, entry: toCallbackEntry(each) })),
      ...settled.map((each) => ({ id: each.id, entry: toSettledEntry(each) })),
    ];
  };
  return {
    settle: (tenant, effect, settlement) => {
      settlements.push({ ...settlement, tenant, effect });
    },
    callBack: (callback) => {
      callbacks.push(callback);
    },
    named,
    waiting: (record, facts) => named(record, facts).map(({ entry }) => entry),
  };
}

function toSettledEntry({ id, outcome, output = null }: Settlement): FactEntry {
  const details = { settlement: id, evidence: 'seen in the statement', by: 'ada' };
  if (outcome === 'applied') return { fact: { kind: 'applied', source: 'human', output }, details };
  const message = 'settled as not applied by ada: seen in the statement';
  return { fact: { kind: 'refused', source: 'human', code: 'not_applied', message }, details };
}

function toCallbackEntry(callback: Callback): FactEntry {
  const { id, outcome, output = null, code = 'refused', message = code } = callback;
  const details = { callback: id };
  if (outcome === 'applied') {
    return { fact: { kind: 'applied', source: 'webhook', output }, details };
  }
  return { fact: { kind: 'refused', source: 'webhook', code, message }, details };
}
