// What every run of a tool has in common, whatever its contract: arguments in, the output judged.
import type { LedgerTransaction } from '../../domain/schemas/tool-context.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { EffectRecord } from '../ledger/effect-ledger.ts';
import { fingerprint, toJson } from './fingerprint.ts';
import { type ParsedValue, parseValue } from './parse-value.ts';

/** For every tool that is not transactional. */
export const noTransaction: LedgerTransaction = {
  query: () =>
    Promise.reject(
      new TypeError('ctx.transaction is for tools that declare effect: { transactional: true }'),
    ),
};

/** What is wrong with an output, in one line; undefined when it matches the tool's schema. Never throws. */
export async function outputProblem(
  { output: schema }: Pick<AnyTool, 'output'>,
  output: Json,
): Promise<string | undefined> {
  const parsed = await parseValue(schema, output, 'output');
  if (parsed.kind === 'valid') return undefined;
  // A tool that returns nothing (`z.void()`): JSON has no undefined, so null stands for it.
  if (output === null && (await parseValue(schema, undefined)).kind === 'valid') return undefined;
  return parsed.problem;
}

/**
 * What the ledger holds is what was approved: the schema only turns it into richer types (a Date), and has no second go at
 * changing it. One that was tightened after a send must not keep the stored bytes from being sent again.
 */
export async function parseArguments(
  tool: AnyTool,
  record: EffectRecord,
): Promise<{ kind: 'valid'; value: unknown } | { kind: 'invalid'; error: Error }> {
  const parsed = await parseValue(tool.input, record.arguments);
  if (parsed.kind !== 'valid') {
    const wasSent = record.state.sends > 0;
    return wasSent
      ? { kind: 'valid', value: record.arguments }
      : { kind: 'invalid', error: new InputInvalid(parsed) };
  }
  const isSame = fingerprint(toJson(parsed.value)) === fingerprint(record.arguments);
  return { kind: 'valid', value: isSame ? parsed.value : record.arguments };
}

/** Stored arguments that this build's schema does not take. */
export class InputInvalid extends Error {
  /** The schema said no, and says so again: no retry helps. Else it threw. */
  readonly isHopeless: boolean;
  constructor({ kind, problem }: Exclude<ParsedValue, { kind: 'valid' }>) {
    super(problem);
    this.name = 'InputInvalid';
    this.isHopeless = kind === 'invalid';
  }
}
