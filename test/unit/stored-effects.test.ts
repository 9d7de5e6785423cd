// What a process remembers of the effects that it has just stored.
import { expect, it } from '@jest/globals';
import { toIntendedRecord } from '../../activities/ledger/effect-rows.ts';
import type { EffectRecord } from '../../activities/ledger/effect-ledger.ts';
import { createStoredEffects } from '../../activities/runs/stored-effects.ts';
import { newIntent } from '../../testing/effect-ledger-fixture.ts';

function newRecord(change: Partial<EffectRecord> = {}): EffectRecord {
  return toIntendedRecord({ ...newIntent(), ...change }, 'key', '7');
}

it('taken once, by tenant and id', () => {
  const stored = createStoredEffects();
  const record = newRecord();
  stored.note(record);
  expect(stored.take('other', record.id)).toBeUndefined();
  expect(stored.take(record.tenant, record.id)).toBe(record);
  expect(stored.take(record.tenant, record.id)).toBeUndefined();
});

it('two seconds later → not fresh any more', () => {
  let nowMs = 0;
  const stored = createStoredEffects(() => nowMs);
  const [fresh, old] = [newRecord(), newRecord()];
  stored.note(fresh);
  stored.note(old);
  nowMs = 2_000;
  expect(stored.take(fresh.tenant, fresh.id)).toBe(fresh);
  nowMs = 2_001;
  expect(stored.take(old.tenant, old.id)).toBeUndefined();
});

it('large arguments → the oldest are forgotten, one that is too large is not kept', () => {
  const stored = createStoredEffects();
  const [first, second, third] = [0, 1, 2].map(() =>
    newRecord({ arguments: 'x'.repeat(1_900_000) }),
  );
  for (const record of [first, second, third]) if (record) stored.note(record);
  expect(stored.take('acme', first?.id ?? '')).toBeUndefined();
  expect(stored.take('acme', second?.id ?? '')).toBe(second);
  expect(stored.take('acme', third?.id ?? '')).toBe(third);
  const huge = newRecord({ arguments: 'x'.repeat(4_000_000) });
  stored.note(huge);
  expect(stored.take(huge.tenant, huge.id)).toBeUndefined();
});
