// What a tool returned as JSON that the ledger can hold. Total: a value that has no JSON costs its place, never the outcome.
import type { Json } from '../../domain/rules/json.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { clip } from './clip.ts';

export interface Encoded {
  readonly output: Json;
  /** What has no JSON and where, in one line; undefined: nothing was lost. */
  readonly problem: string | undefined;
}

/** Deeper values are dropped: PostgreSQL, Temporal and the schemas all walk them recursively. */
const DEPTH_MAX = 500;
const BYTES_MAX = 16 * 1024 * 1024;
/** What refers to one object again and again is small in memory and huge in JSON. */
const VALUES_MAX = 1_000_000;

/**
 * Encodes as `JSON.stringify` does, but reports with its path what JSON would lose or refuse: bigints (kept as text),
 * cycles, NaN, infinities, integers that were rounded, a `toJSON` or getter that throws, more than 500 levels.
 * An output of more than `bytesMax` is null. @default bytesMax 16 MB
 */
export function encodeOutput(value: unknown, bytesMax = BYTES_MAX): Encoded {
  const walk: Walk = { problems: [], lost: 0, values: 0, bytes: 0, bytesMax, open: new Set() };
  try {
    const output = encode(walk, value, { key: '', depth: 0, above: undefined });
    return { output: output ?? null, problem: toLine(walk) };
  } catch (error) {
    return {
      output: null,
      problem: error instanceof TooLarge ? error.message : describeThrown(error),
    };
  }
}

class TooLarge extends Error {}

interface Walk {
  /** The first ones. */
  readonly problems: string[];
  lost: number;
  values: number;
  bytes: number;
  readonly bytesMax: number;
  /** The objects that the walk is inside of. */
  readonly open: Set<object>;
}

/** Linked, because most places are never named. */
interface Place {
  readonly key: string;
  readonly depth: number;
  readonly above: Place | undefined;
}

const PROBLEMS_MAX = 3;

function toLine({ problems, lost }: Walk): string | undefined {
  if (lost === 0) return undefined;
  const more = lost > problems.length ? `; and ${lost - problems.length} more` : '';
  return `${problems.join('; ')}${more}`;
}

/** Undefined for what JSON leaves out. */
function encode(walk: Walk, given: unknown, place: Place): Json | undefined {
  walk.values += 1;
  if (walk.values > VALUES_MAX) throw new TooLarge(`it has more than ${VALUES_MAX} values`);
  const value = unbox(callToJson(walk, given, place));
  switch (typeof value) {
    case 'string':
      count(walk, value.length);
      return value;
    case 'number':
      return encodeNumber(walk, value, place);
    case 'bigint':
      report(walk, place, 'a bigint has no JSON: kept as text');
      return value.toString();
    case 'boolean':
      return value;
    case 'object':
      return value === null ? null : encodeObject(walk, value, place);
    default:
      return undefined;
  }
}

function encodeNumber(walk: Walk, value: number, place: Place): Json {
  count(walk, 8);
  if (!Number.isFinite(value)) {
    report(walk, place, `${value} has no JSON`);
    return null;
  }
  // What is written with an exponent is a measurement; an id or an amount that large has lost digits.
  const isRounded =
    Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21;
  if (isRounded) report(walk, place, `${value} is beyond 2^53 and may have been rounded`);
  return value;
}

function encodeObject(walk: Walk, value: object, place: Place): Json {
  if (walk.open.has(value)) {
    report(walk, place, 'a cycle has no JSON');
    return null;
  }
  if (place.depth >= DEPTH_MAX) {
    report(walk, place, `it is deeper than ${DEPTH_MAX} levels`);
    return null;
  }
  walk.open.add(value);
  try {
    return Array.isArray(value)
      ? encodeItems(walk, value as readonly unknown[], place)
      : encodeMembers(walk, value, place);
  } finally {
    walk.open.delete(value);
  }
}

function encodeItems(walk: Walk, items: readonly unknown[], place: Place): Json {
  return Array.from({ length: items.length }, (_, index) => {
    count(walk, 1);
    const inner = below(place, String(index));
    return encode(walk, read(walk, items, String(index), inner), inner) ?? null;
  });
}

function encodeMembers(walk: Walk, value: object, place: Place): Json {
  const members: [string, Json][] = [];
  for (const key of keysOf(walk, value, place)) {
    count(walk, key.length + 1);
    const inner = below(place, key);
    const member = encode(walk, read(walk, value, key, inner), inner);
    if (member !== undefined) members.push([key, member]);
  }
  return Object.fromEntries(members);
}

function below(above: Place, key: string): Place {
  return { key, depth: above.depth + 1, above };
}

/** A Date, a Decimal: whatever says for itself what it is in JSON. */
function callToJson(walk: Walk, value: unknown, place: Place): unknown {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'bigint') return value;
  try {
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON !== 'function') return value;
    return toJSON.call(value, place.key) as unknown;
  } catch (error) {
    return threw(walk, place, 'toJSON', error);
  }
}

function unbox(value: unknown): unknown {
  const isBoxed = value instanceof Number || value instanceof String || value instanceof Boolean;
  return isBoxed ? value.valueOf() : value;
}

function read(walk: Walk, value: object, key: string, place: Place): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch (error) {
    return threw(walk, place, 'its getter', error);
  }
}

function keysOf(walk: Walk, value: object, place: Place): readonly string[] {
  try {
    return Object.keys(value);
  } catch (error) {
    threw(walk, place, 'its keys', error);
    return [];
  }
}

function threw(walk: Walk, place: Place, what: string, error: unknown): null {
  report(walk, place, `${what} threw ${describeThrown(error)}`);
  return null;
}

function report(walk: Walk, place: Place, what: string): void {
  walk.lost += 1;
  if (walk.problems.length < PROBLEMS_MAX) walk.problems.push(`${toPath(place)}: ${what}`);
}

const PATH_PARTS_MAX = 8;

function toPath(place: Place): string {
  const parts: string[] = [];
  for (let at = place; at.above; at = at.above) parts.unshift(at.key);
  if (parts.length === 0) return 'output';
  const shown = parts.slice(0, PATH_PARTS_MAX).map((part) => clip(part, 40));
  return `${shown.join('.')}${parts.length > PATH_PARTS_MAX ? '…' : ''}`;
}

function count(walk: Walk, bytes: number): void {
  walk.bytes += bytes;
  if (walk.bytes > walk.bytesMax) {
    throw new TooLarge(`it is larger than ${walk.bytesMax} bytes`);
  }
}
