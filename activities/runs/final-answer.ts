// The last answer of a run: read as JSON where the agent has an output schema, and judged against it.
import type { Json } from '../../domain/rules/json.ts';
import type { FinalAnswer } from '../../domain/rules/run.ts';
import { type ModelAnswer, type Part, wordsOf } from '../../domain/rules/transcript.ts';
import { parseValue } from '../effects/parse-value.ts';
import type { RegisteredAgent } from './agent-registry.ts';

/** Does the last answer match the agent's output schema? A cut answer never does, nor one that makes the schema throw. */
export async function judgeFinal(
  { agent: { output } }: RegisteredAgent,
  answer: ModelAnswer,
): Promise<FinalAnswer> {
  if (answer.stopReason === 'max-tokens') {
    return { isValid: false, problem: 'the answer was cut off at the output limit' };
  }
  if (!output) return { isValid: true };
  const parsed = parseJson(textOf(answer.parts));
  if (parsed === undefined) return { isValid: false, problem: 'the answer is not JSON' };
  const checked = await parseValue(output, parsed, 'output');
  if (checked.kind === 'valid') return { isValid: true };
  return { isValid: false, problem: checked.problem.slice(0, 500) };
}

/** Around all of a text, in the ways models write it: any case, line ends of Windows, one line. */
const FENCE = /^\s*```(?:json[5cl]?)?\s([^]*?)\s?```\s*$/i;

/** The text of an answer; models like to fence JSON, so one fence around all of it is taken off. */
export function textOf(parts: readonly Part[]): string {
  const text = wordsOf(parts);
  return FENCE.exec(text)?.[1] ?? text;
}

/** The JSON value in a text, which a byte order mark may precede; undefined when it is none. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text.trim()) as Json;
  } catch {
    return undefined;
  }
}
