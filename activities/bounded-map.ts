// A map that forgets what was not asked for longest, so that a process remembers no more than it is allowed to.

export interface BoundedMap<Key, Value> {
  get(key: Key): Value | undefined;
  /** Forgets the oldest others until everything fits; a value that does not fit alone is not kept. */
  set(key: Key, value: Value): void;
  delete(key: Key): void;
}

/** `sizeMax` in the units of `sizeOf`. @default sizeOf every value is 1 */
export function createBoundedMap<Key, Value>(
  sizeMax: number,
  sizeOf: (value: Value) => number = () => 1,
): BoundedMap<Key, Value> {
  // A map keeps the order of its insertions: the first one is the oldest.
  const held = new Map<Key, { readonly value: Value; readonly size: number }>();
  let total = 0;
  const remove = (key: Key): void => {
    total -= held.get(key)?.size ?? 0;
    held.delete(key);
  };
  return {
    get(key) {
      const found = held.get(key);
      if (!found) return undefined;
      held.delete(key);
      held.set(key, found);
      return found.value;
    },
    set(key, value) {
      remove(key);
      const size = sizeOf(value);
      if (size > sizeMax) return;
      held.set(key, { value, size });
      total += size;
      for (const [oldest] of held) {
        if (total <= sizeMax) return;
        remove(oldest);
      }
    },
    delete: remove,
  };
}
