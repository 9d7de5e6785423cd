// Fields of an answer as a provider reports them: every reader takes any value, for a paid answer must never be lost to one.
import type { ToolCallPart } from '../../domain/rules/transcript.ts';
import { readArguments } from './arguments-text.ts';
import { toWireText } from './wire-values.ts';

export type Reported = Readonly<Record<string, unknown>>;

/** The object, or an empty one for anything else. */
export function toObject(value: unknown): Reported {
  return typeof value === 'object' && value !== null ? (value as Reported) : {};
}

/** Longer names and ids are cut: none that we gave or that a provider documents is as long. */
const NAME_LENGTH_MAX = 256;

/** A name or an id that can be stored; empty for anything but a text or a number. */
export function toName(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' ? toWireText(text.slice(0, NAME_LENGTH_MAX)) : '';
}

/** More tokens than any model takes; a column of the ledger holds their sum. */
const TOKENS_MAX = 1_000_000_000_000;

/** A number of tokens; 0 for anything else. */
export function toTokens(value: unknown): number {
  const isNumber = typeof value === 'number' && value >= 0;
  return isNumber ? Math.min(Math.ceil(value), TOKENS_MAX) : 0;
}

const MALFORMED_LENGTH_MAX = 4_000;

/** A call from the text of its arguments; `unreadable` says that they can't be read even where the text can. */
export function toCallPart(
  { id, name }: { readonly id: unknown; readonly name: unknown },
  text: string,
  unreadable?: string,
): ToolCallPart {
  const part = { kind: 'tool-call', id: toName(id), name: toName(name) } as const;
  const read = readArguments(text);
  if (read.kind === 'value' && unreadable === undefined) return { ...part, arguments: read.value };
  const problem = unreadable ?? (read.kind === 'malformed' ? read.problem : undefined);
  const cut = text.length > MALFORMED_LENGTH_MAX ? `${text.slice(0, MALFORMED_LENGTH_MAX)}…` : text;
  return {
    ...part,
    arguments: null,
    malformed: toWireText(cut),
    ...(problem === undefined ? {} : { problem: toWireText(problem) }),
  };
}
