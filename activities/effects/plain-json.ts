// A parsed value as JSON for those who cannot hold it itself: policies, fingerprints, the model, the ledger.
import type { Json } from '../../domain/rules/json.ts';

/**
 * JSON as `JSON.stringify` has it, and beyond it: a bigint as a number, as text beyond 2^53; NaN and Infinity as text; a
 * Set as a list; a Map as an object, as a list of pairs where a key is no text. Throws for a cycle and for what is too
 * deep.
 */
export function toPlainJson(value: unknown): Json {
  return plain(value, []) ?? null;
}

/** Undefined: left out of an object, null in a list. */
function plain(value: unknown, above: readonly object[]): Json | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      // Plus zero: JSON has no other.
      return Number.isFinite(value) ? value + 0 : String(value);
    case 'bigint':
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case 'object':
      return value === null ? null : plainObject(value, above);
    default:
      return undefined;
  }
}

function plainObject(value: object, above: readonly object[]): Json | undefined {
  if (above.includes(value)) throw new TypeError('a value that holds itself is no JSON');
  const inside = [...above, value];
  const each = (item: unknown): Json => plain(item, inside) ?? null;
  if (Array.isArray(value)) return value.map(each);
  if (value instanceof Set) return [...value].map(each);
  if (value instanceof Map) {
    const pairs = [...value] as [unknown, unknown][];
    const isRecord = pairs.every(([key]) => typeof key === 'string');
    return isRecord ? members(pairs as [string, unknown][], inside) : pairs.map(each);
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return plain((value as { toJSON: (key: string) => unknown }).toJSON(''), inside);
  }
  return members(Object.entries(value), inside);
}

function members(entries: readonly [string, unknown][], above: readonly object[]): Json {
  return Object.fromEntries(
    entries.flatMap(([name, item]) => {
      const json = plain(item, above);
      return json === undefined ? [] : [[name, json]];
    }),
  );
}
