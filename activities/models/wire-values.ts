// Values that both wire formats need: stable JSON, tool call ids and arguments. Nothing of one provider.
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Json } from '../../domain/rules/json.ts';
import type { ToolCallPart, ToolResultPart } from '../../domain/rules/transcript.ts';

// A transcript is sent anew each turn, and what stands in it never changes: made once for each value that is kept.
const texts = new WeakMap<object, string>();
const stables = new WeakMap<object, Json>();

/** The same bytes for the same value, whatever order a database gave its keys: caches are prefix caches. */
export function toStableText(value: Json): string {
  return onceOf(texts, value, () => canonicalize(value) ?? 'null');
}

/** The value with its keys in a stable order; not to be changed. */
export function toStable(value: Json): Json {
  return onceOf(stables, value, () => JSON.parse(canonicalize(value) ?? 'null') as Json);
}

function onceOf<T>(known: WeakMap<object, T>, value: Json, make: () => T): T {
  if (typeof value !== 'object' || value === null) return make();
  const made = known.get(value) ?? make();
  known.set(value, made);
  return made;
}

/** What a tool gave, as text for the model. */
export function toResultText(part: ToolResultPart): string {
  return typeof part.content === 'string' ? part.content : toStableText(part.content);
}

/** The id if every provider takes it; otherwise a short one derived from it, the same in call and result. */
export function toWireId(id: string): string {
  if (/^[A-Za-z0-9_-]{1,40}$/.test(id)) return id;
  return `call_${createHash('sha256').update(id).digest('hex').slice(0, 32)}`;
}

/** A model's arguments text as a part; text that is not JSON is kept as `malformed`. */
export function fromArgumentsText(id: string, name: string, text: string): ToolCallPart {
  if (text.trim() === '') return { kind: 'tool-call', id, name, arguments: {} };
  try {
    return { kind: 'tool-call', id, name, arguments: JSON.parse(text) as Json };
  } catch {
    return { kind: 'tool-call', id, name, arguments: null, malformed: text };
  }
}
