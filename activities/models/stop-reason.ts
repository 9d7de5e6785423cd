// Whether an arrived answer is one to act on, from what a provider says and what was found in its stream. Pure.
import type { ModelAnswer, StopReason } from '../../domain/rules/transcript.ts';
import { toWireText } from './wire-values.ts';

export interface ArrivedAnswer {
  /** What the provider's word for the end of an answer means; undefined for one that it does not document. */
  readonly meaning: StopReason | undefined;
  /** That word as it came. */
  readonly word: unknown;
  readonly calls: number;
  /** What can't be read or put together; the first one is told. */
  readonly problems: readonly string[];
}

/** A problem may quote what came. */
const PROBLEM_LENGTH_MAX = 300;

/** A cut, refused or paused answer stays one whatever else is wrong with it; else each problem makes it unusable. */
export function judgeStop({
  meaning,
  word,
  calls,
  problems,
}: ArrivedAnswer): Pick<ModelAnswer, 'stopReason' | 'problem'> {
  if (meaning === 'max-tokens' || meaning === 'refusal' || meaning === 'paused')
    return { stopReason: meaning };
  const problem = problems[0] ?? wordProblem(meaning, word, calls);
  if (problem !== undefined)
    return { stopReason: 'unusable', problem: toWireText(problem.slice(0, PROBLEM_LENGTH_MAX)) };
  // Some compatible servers say `stop` after a tool call.
  return { stopReason: calls > 0 ? 'tool-calls' : 'end' };
}

function wordProblem(
  meaning: StopReason | undefined,
  word: unknown,
  calls: number,
): string | undefined {
  if (meaning === undefined) {
    return typeof word === 'string' && word !== ''
      ? `the answer ended with the unknown reason ${JSON.stringify(word.slice(0, 100))}`
      : 'the answer ended without a reason';
  }
  if (meaning === 'tool-calls' && calls === 0)
    return 'the answer says that it calls tools, and it holds no call';
  return undefined;
}
