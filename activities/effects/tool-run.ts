// What every run of a tool has in common, whatever its contract: arguments in, a time limit, the output judged.
import type { LedgerTransaction } from '../../domain/schemas/tool-context.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { Claim, EffectRecord, FactEntry } from '../ledger/effect-ledger.ts';
import { fingerprint, toJson } from './fingerprint.ts';

/** For every tool that is not transactional. */
export const noTransaction: LedgerTransaction = {
  query: () =>
    Promise.reject(
      new TypeError('ctx.transaction is for tools that declare effect: { transactional: true }'),
    ),
};

export type Ran =
  | { readonly ok: true; readonly output: unknown; readonly isLeftBehind: false }
  | { readonly ok: false; readonly error: unknown; readonly isLeftBehind: boolean };

/** A tool that ignores its signal is left behind when its time is up: its lease is over. */
export async function settleWithin(running: Promise<unknown>, signal: AbortSignal): Promise<Ran> {
  let isLeftBehind = false;
  const timedOut = new Promise<never>((_, reject) => {
    const end = (): void => {
      isLeftBehind = true;
      reject(signal.reason as Error);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  try {
    return { ok: true, output: await Promise.race([running, timedOut]), isLeftBehind: false };
  } catch (error) {
    return { ok: false, error, isLeftBehind };
  }
}

/** Adds the attempt, and to an applied output what is wrong with it; never a retry. */
export function judgeOutput(tool: AnyTool, { attempt }: Claim, entry: FactEntry): FactEntry {
  if (entry.fact.kind !== 'applied') return { ...entry, attempt };
  const problem = outputProblem(tool, entry.fact.output);
  return { ...entry, attempt, ...(problem === undefined ? {} : { outputProblem: problem }) };
}

/** What is wrong with an output, in one line; undefined when it matches the tool's schema. */
export function outputProblem(tool: AnyTool, output: Json): string | undefined {
  const parsed = tool.output.safeParse(output);
  if (parsed.success) return undefined;
  return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

/**
 * What the ledger holds is what was approved: the schema only turns it into richer types (a Date), and has no second go at
 * changing it. One that was tightened after a send must not keep the stored bytes from being sent again.
 */
export function parseArguments(
  tool: AnyTool,
  record: EffectRecord,
): { kind: 'valid'; value: unknown } | { kind: 'invalid'; error: Error } {
  const parsed = tool.input.safeParse(record.arguments);
  if (!parsed.success) {
    const wasSent = record.state.sends > 0;
    return wasSent
      ? { kind: 'valid', value: record.arguments }
      : { kind: 'invalid', error: parsed.error };
  }
  const isSame = fingerprint(toJson(parsed.data)) === fingerprint(record.arguments);
  return { kind: 'valid', value: isSame ? parsed.data : record.arguments };
}

/** One line about any thrown value, its causes included. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${messageOf(error.cause)})` : '';
  return `${error.name}: ${error.message}${cause}`;
}
