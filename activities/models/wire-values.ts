// Values as every provider takes them: stable JSON, tool call ids, tool names and texts. Nothing of one provider.
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Json } from '../../domain/rules/json.ts';
import type { ModelRequest, ToolCallPart, ToolResultPart } from '../../domain/rules/transcript.ts';
import { toStorable } from '../ledger/storable.ts';

// A transcript is sent anew each turn, and what stands in it never changes: made once for each value that is kept.
const texts = new WeakMap<object, string>();
const stables = new WeakMap<object, Json>();

/** The same bytes for the same value, whatever order a database gave its keys: caches are prefix caches. */
export function toStableText(value: Json): string {
  return onceOf(texts, value, () => canonicalText(value));
}

/** The value with its keys in a stable order; not to be changed. */
export function toStable(value: Json): Json {
  return onceOf(stables, value, () => JSON.parse(canonicalText(value)) as Json);
}

/** Total: a stored value that has no canonical form must not stop a run. */
function canonicalText(value: Json): string {
  try {
    return canonicalize(toStorable(value)) ?? 'null';
  } catch {
    return '"(a value too deep to be shown)"';
  }
}

function onceOf<T>(known: WeakMap<object, T>, value: Json, make: () => T): T {
  if (typeof value !== 'object' || value === null) return make();
  const made = known.get(value) ?? make();
  known.set(value, made);
  return made;
}

/** The system prompt; empty when there is nothing to say. */
export function toSystemText({ system }: Pick<ModelRequest, 'system'>): string {
  return system.trim() === '' ? '' : toWireText(system);
}

/** What a tool gave, as text for the model. */
export function toResultText({ content }: Pick<ToolResultPart, 'content'>): string {
  return typeof content === 'string' ? toWireText(content) : toStableText(content);
}

/** The id if every provider takes it; otherwise a short one derived from it. `repetition` makes another one of it. */
export function toWireId(id: string, repetition = 0): string {
  if (repetition === 0 && /^[A-Za-z0-9_-]{1,40}$/.test(id)) return id;
  const source = repetition === 0 ? id : `${id}\n${repetition}`;
  return `call_${createHash('sha256').update(source).digest('hex').slice(0, 32)}`;
}

/** The tool's name if every provider takes it; otherwise the nearest that they take. */
export function toWireName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 64) || 'unnamed';
}

/** The text without what no JSON parser and no database takes: halves of surrogate pairs and NULs. */
export function toWireText(text: string): string {
  return text.replace(/\p{Surrogate}|\0/gu, '\ufffd');
}

/** Arguments as an object, which is all that providers take; what the model wrote is shown to it inside one. */
export function toArgumentsObject(part: ToolCallPart): Json {
  if (part.malformed !== undefined) return { malformed_arguments: toWireText(part.malformed) };
  const value = toStable(part.arguments);
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? value : { value };
}
