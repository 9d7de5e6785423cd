// A tool's input in one form: the JSON that goes into the schema is stored, and all code sees the parsed value.
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import type { Json } from '../../domain/rules/json.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import { toStorable } from '../ledger/storable.ts';
import { canonicalJson, fingerprint } from './fingerprint.ts';
import { type ParsedValue, parseValue } from './parse-value.ts';
import { toPlainJson } from './plain-json.ts';

/** An input in its three forms. */
export interface CarriedInput {
  /** What the schema makes of it: `run`, `identity`, `amount`, `probe` and `compensate` see this. */
  readonly value: unknown;
  /** The same as JSON: policies see this. */
  readonly shown: Json;
  /** An input of the schema that it parses to `value`: the ledger holds this, and people approve it. */
  readonly stored: Json;
  /** Of `stored`. */
  readonly fingerprint: string;
  /** The fingerprint by which builds before 0.2 knew the same input, where that is another one. */
  readonly olderFingerprint?: string;
}

type Unparsed = Exclude<ParsedValue, { kind: 'valid' }>;
type Carried = ({ readonly kind: 'valid' } & CarriedInput) | Unparsed;

/**
 * Parses what was given. Stored is `shown` where that is an input of the schema with the same meaning, so that people see
 * its defaults and nothing that the schema drops; else what was given. Never throws.
 */
export async function carryInput(schema: z.ZodType, given: Json): Promise<Carried> {
  const parsed = await parseShown(schema, given);
  if (parsed.kind !== 'valid') return parsed;
  const { value, shown } = parsed;
  const print = printOf(shown);
  const isPlain = print !== undefined && print === printOf(given);
  if (isPlain || (print !== undefined && (await isSameInput(schema, shown, value)))) {
    return { kind: 'valid', value, shown, stored: isPlain ? given : shown, fingerprint: print };
  }
  return {
    kind: 'valid',
    value,
    shown,
    stored: given,
    fingerprint: inputFingerprint(given),
    ...(print === undefined ? {} : { olderFingerprint: print }),
  };
}

/** The same of what is stored: parsed once, and never judged by what else it could have been. */
export async function parseStored(
  schema: z.ZodType,
  { arguments: stored, fingerprint: print }: StoredInput,
): Promise<ParsedShown> {
  const parsed = await parseShown(schema, stored);
  if (parsed.kind !== 'valid') return parsed;
  const isInput = print === inputFingerprint(stored);
  if (isInput || printOf(parsed.shown) === fingerprint(stored)) return parsed;
  // Stored by an older build, or under another schema: what was approved is not transformed once more.
  return { kind: 'valid', value: stored, shown: stored };
}

export interface StoredInput {
  readonly arguments: Json;
  readonly fingerprint: string;
}

/** The fingerprint of an input that its schema transforms. Its prefix tells readers to parse the stored value. */
export function inputFingerprint(given: Json): string {
  return createHash('sha256')
    .update(`input ${canonicalJson(given)}`)
    .digest('hex');
}

export type ParsedShown =
  { readonly kind: 'valid'; readonly value: unknown; readonly shown: Json } | Unparsed;

/** A value under a schema, and what it makes of it as JSON. Never throws. */
export async function parseShown(
  schema: z.ZodType,
  given: unknown,
  root?: string,
): Promise<ParsedShown> {
  const parsed = await parseValue(schema, given, root);
  if (parsed.kind !== 'valid') return parsed;
  try {
    return { ...parsed, shown: toPlainJson(parsed.value) };
  } catch (error) {
    const problem = `what the schema makes of it cannot be shown: ${describeThrown(error)}`;
    return { kind: 'threw', problem };
  }
}

async function isSameInput(schema: z.ZodType, shown: Json, value: unknown): Promise<boolean> {
  const again = await parseValue(schema, shown);
  try {
    return again.kind === 'valid' && isDeepStrictEqual(again.value, value);
  } catch {
    return false;
  }
}

/** Undefined for what cannot be stored: half of a surrogate pair, a NUL, or too deep. */
function printOf(json: Json): string | undefined {
  try {
    const print = fingerprint(json);
    return fingerprint(toStorable(json)) === print ? print : undefined;
  } catch {
    return undefined;
  }
}
