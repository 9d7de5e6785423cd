// What both providers document about names and texts of a request, for the wires that enforce it; no wire format.
import { BadModelRequest } from './model-wire.ts';

/** Throws as strict JSON parsers do: `JSON.stringify` escapes nothing of this kind but halves of surrogate pairs. */
export function refuseHalfPairs(raw: Record<string, unknown>): void {
  if (/(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(JSON.stringify(raw))) {
    throw new BadModelRequest(
      'The request body is not valid JSON: no low surrogate in string: line 1 column 1 (char 0)',
    );
  }
}

/** The first value that was there before, with the places of both. */
export function findRepeated(
  values: readonly string[],
): { value: string; first: number; again: number } | undefined {
  const seen = new Map<string, number>();
  for (const [again, value] of values.entries()) {
    const first = seen.get(value);
    if (first !== undefined) return { value, first, again };
    seen.set(value, again);
  }
  return undefined;
}

export function isObjectSchema(schema: unknown): boolean {
  return (schema as { type?: unknown } | null | undefined)?.type === 'object';
}
