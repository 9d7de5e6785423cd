// Effects that this process has just stored: the activity that performs one a moment later need not look for it.
import { createBoundedMap } from '../bounded-map.ts';
import type { EffectRecord } from '../ledger/effect-ledger.ts';

/** What nobody takes stays until newer ones need its room. */
export interface StoredEffects {
  note(record: EffectRecord): void;
  /** Once, and only while it is fresh. */
  take(tenant: string, id: string): EffectRecord | undefined;
}

/** Arguments may be large: what all of them may take together, in characters of JSON. */
const CHARS_MAX = 4_000_000;
/** Longer than a worker that is not overloaded takes between the two; a person needs more to write about an effect. */
const FRESH_MS = 2_000;

export function createStoredEffects(nowMs: () => number = () => performance.now()): StoredEffects {
  const stored = createBoundedMap<string, { readonly record: EffectRecord; readonly atMs: number }>(
    CHARS_MAX,
    ({ record }) => JSON.stringify(record).length,
  );
  return {
    note: (record) => stored.set(keyOf(record.tenant, record.id), { record, atMs: nowMs() }),
    take(tenant, id) {
      const key = keyOf(tenant, id);
      const found = stored.get(key);
      stored.delete(key);
      return found && nowMs() - found.atMs <= FRESH_MS ? found.record : undefined;
    },
  };
}

function keyOf(tenant: string, id: string): string {
  return `${tenant} ${id}`;
}
