// What every run of a tool has in common, whatever its contract: arguments in, the output judged.
import type { LedgerTransaction } from '../../domain/schemas/tool-context.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { EffectRecord } from '../ledger/effect-ledger.ts';
import { type ParsedShown, parseStored } from './carried-input.ts';
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

/** One parse of what is stored serves the gate and the send behind it. */
const parsed = new WeakMap<EffectRecord, Promise<ParsedShown>>();

function parseRecord(tool: AnyTool, record: EffectRecord): Promise<ParsedShown> {
  const known = parsed.get(record) ?? parseStored(tool.input, record);
  parsed.set(record, known);
  return known;
}

/**
 * What the ledger holds is what was approved: `run` sees what the schema makes of it. A schema that was tightened after a
 * send does not keep the stored bytes from being sent again, nor what was done from being undone.
 */
export async function parseArguments(
  tool: AnyTool,
  record: EffectRecord,
): Promise<{ kind: 'valid'; value: unknown } | { kind: 'invalid'; error: Error }> {
  const input = await parseRecord(tool, record);
  if (input.kind === 'valid') return input;
  const isFact =
    record.state.sends > 0 || (record.compensates !== null && input.kind === 'invalid');
  if (isFact) return { kind: 'valid', value: record.arguments };
  return { kind: 'invalid', error: new InputInvalid(input) };
}

/** The arguments as a policy sees them; what cannot be parsed any more is not sent, whatever the policy says to it. */
export async function shownArguments(tool: AnyTool, record: EffectRecord): Promise<Json> {
  const input = await parseRecord(tool, record);
  return input.kind === 'valid' ? input.shown : record.arguments;
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
