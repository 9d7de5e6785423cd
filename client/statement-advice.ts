// What to do about a finding of a comparison: a sentence, and the command to copy.
import type { Json } from '../domain/rules/json.ts';
import type { StatementFinding, StatementReceipt } from '../domain/rules/statement.ts';
import type { ComparedEffect, ValuePath } from './statement-page.ts';

/** What a value of a receipt is in the effect: `receiptId` is `output.transferId`. */
export interface MatchedPath {
  readonly field: 'reference' | 'receiptId';
  readonly path: ValuePath;
}

export interface Advice {
  readonly advice: string;
  /** For a POSIX shell; null where there is nothing to run. */
  readonly command: string | null;
}

/** One way on for each kind of finding; nothing here decides for a human. */
export function adviseOn(
  { kind, effect, receipts, resembles }: StatementFinding<ComparedEffect>,
  match: readonly MatchedPath[],
): Advice {
  const story = effect ? `pawl why ${effect.effect}` : null;
  const [receipt] = receipts;
  switch (kind) {
    case 'unknown-to-ledger':
      return {
        advice: resembles
          ? `It has another key than ${resembles}, whose reference it bears: who sent it?`
          : 'Who sent it? Another system, another tenant, or a ledger that was set back.',
        command: resembles ? `pawl why ${resembles}` : null,
      };
    case 'unknown-to-receiver':
      return {
        advice: `The run was told that it happened. Ask the receiver by the key ${effect?.wireKey ?? ''}.`,
        command: story,
      };
    case 'duplicate':
      return { advice: 'Ask the receiver to take the surplus back.', command: story };
    case 'amount-differs':
      return { advice: 'Compare with what was sent; ask the receiver.', command: story };
    case 'doubt-answered':
      return {
        advice:
          effect?.status === 'dispatched'
            ? 'Its lease is over: a sweep of the reconciler probes it or puts it in doubt; then settle it.'
            : 'The receipt is the evidence: settle it.',
        command: settleCommand(effect, receipt, match, ''),
      };
    case 'refused-but-done':
      return {
        advice:
          'The run was told no, and may have done it by other means. Ask the receiver, then put it on record as a conflict.',
        command: settleCommand(effect, receipt, match, ' --contradict'),
      };
    case 'unsent-but-done':
      return {
        advice:
          'The ledger has no send of it: was it set back? Pause the run before it sends again.',
        command: effect ? `pawl pause ${effect.runKey}` : null,
      };
  }
}

function settleCommand(
  effect: ComparedEffect | undefined,
  receipt: StatementReceipt | undefined,
  match: readonly MatchedPath[],
  options: string,
): string | null {
  if (!effect || !receipt) return null;
  const output = toOutput(receipt, match);
  const rest = output === undefined ? '' : ` --output ${quote(JSON.stringify(output))}`;
  return `pawl settle ${effect.effect} applied${options} --evidence ${quote(toEvidence(receipt))}${rest}`;
}

function toEvidence({
  line,
  receiptId,
  reference,
  idempotencyKey,
  atMs,
}: StatementReceipt): string {
  const name = receiptId ?? reference ?? idempotencyKey ?? '';
  const at = atMs === undefined ? '' : ` of ${new Date(atMs).toISOString()}`;
  return `statement line ${line}: receipt ${name}${at}`;
}

/** What the receipt tells of the tool's output: the values that it was matched by. */
function toOutput(receipt: StatementReceipt, match: readonly MatchedPath[]): Json | undefined {
  let output: Record<string, Json> | undefined;
  for (const { field, path } of match) {
    const value = receipt[field];
    if (path.root !== 'output' || value === undefined) continue;
    output ??= {};
    setAt(output, path.keys, value);
  }
  return output;
}

function setAt(into: Record<string, Json>, keys: readonly string[], value: Json): void {
  const [key = '', ...rest] = keys;
  if (rest.length === 0) {
    into[key] = value;
    return;
  }
  const inner = { ...(into[key] as Record<string, Json> | undefined) };
  setAt(inner, rest, value);
  into[key] = inner;
}

// A statement is hostile text: what is copied into a shell must stay one word.
function quote(text: string): string {
  return `'${text.replaceAll(/\p{C}/gu, ' ').replaceAll("'", String.raw`'\''`)}'`;
}
