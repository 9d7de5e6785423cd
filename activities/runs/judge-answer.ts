// What an answer comes to: calls to carry out, a last word, or neither. Nothing of an answer that is not whole is carried out.
import type { Json } from '../../domain/rules/json.ts';
import type { FinalAnswer, UnusedAnswer } from '../../domain/rules/run.ts';
import type { ModelAnswer, Part, ToolCallPart } from '../../domain/rules/transcript.ts';
import { fingerprint } from '../effects/fingerprint.ts';
import type { AgentDescription } from './agent-registry.ts';
import { judgeFinal } from './final-answer.ts';
import { type CallContext, type Proposal, refuse } from './propose-call.ts';
import { proposeAll } from './propose-child.ts';
import type { RunDeps } from './run-deps.ts';

export interface JudgedAnswer {
  /** What the transcript keeps of the answer: every call in it has a proposal. */
  readonly parts: readonly Part[];
  readonly proposals: readonly Proposal[];
  /** How many of the proposals the workflow is told of; the others have their results already. */
  readonly told: number;
  readonly final?: FinalAnswer;
  /** Equal for equal calls: 16 letters are enough to notice a loop. */
  readonly fingerprint: string;
}

/** Calls of one answer that are looked at, where the agent's description is of a build that had no limit. */
export const CALLS_MAX_DEFAULT = 128;

/** Total for every answer but a mistake in the user's own code, which is thrown. */
export async function judgeAnswer(
  deps: RunDeps,
  context: CallContext,
  description: AgentDescription,
  answer: ModelAnswer,
  depthLeft: number | undefined,
): Promise<JudgedAnswer> {
  const { maxCalls = CALLS_MAX_DEFAULT } = description;
  const why = whyUnused(answer);
  const parts = why ? kept(answer, why) : answer.parts;
  const calls = parts.filter((part): part is ToolCallPart => part.kind === 'tool-call');
  const first = calls.slice(0, maxCalls);
  const judged = why
    ? first.map((part, index) => notCarriedOut(part, String(index), why))
    : await proposeAll(deps, context, first, depthLeft);
  const rest = calls
    .slice(maxCalls)
    .map((part, index) => tooMany(part, first.length + index, maxCalls));
  const common = {
    parts,
    proposals: [...judged, ...rest],
    told: first.length,
    fingerprint: fingerprint(calls.map((part): Json => [part.name, part.arguments])).slice(0, 16),
  };
  if (why)
    return { ...common, final: { isValid: false, problem: problemOf(answer, description), why } };
  if (calls.length > 0) return common;
  return { ...common, final: await judgeFinal(context.registered, answer) };
}

/** Why nothing of an answer is carried out; undefined when it is one to act on. */
function whyUnused({ stopReason, parts }: ModelAnswer): UnusedAnswer | undefined {
  switch (stopReason) {
    case 'end':
      return undefined;
    case 'tool-calls':
      return parts.some(({ kind }) => kind === 'tool-call') ? undefined : 'unusable';
    case 'max-tokens':
      return 'cut';
    case 'refusal':
      return 'refused';
    case 'paused':
    case 'unusable':
      return stopReason;
  }
}

/** For a person and for the model alike. */
function problemOf(
  { stopReason, problem }: ModelAnswer,
  { maxOutputTokens }: AgentDescription,
): string {
  switch (stopReason) {
    case 'max-tokens':
      return `the answer was cut off at a limit (maxOutputTokens is ${maxOutputTokens})`;
    case 'refusal':
      return 'the model refused to answer, or its provider did';
    case 'paused':
      return 'the provider paused the answer before its end';
    case 'tool-calls':
      return 'the answer ended for a tool call, and there is none in it';
    case 'end':
    case 'unusable':
      return `the answer cannot be used: ${problem ?? 'it cannot be read'}`;
  }
}

/** Calls of an answer that cannot be read are not trusted to be the model's. A message has at least some words. */
function kept({ parts }: ModelAnswer, why: UnusedAnswer): readonly Part[] {
  const rest = why === 'unusable' ? parts.filter(({ kind }) => kind === 'text') : parts;
  const isSaid = rest.some(
    (part) => part.kind === 'tool-call' || (part.kind === 'text' && part.text.trim() !== ''),
  );
  return isSaid ? rest : [{ kind: 'text', text: `(no answer: ${why})` }];
}

function notCarriedOut(part: ToolCallPart, call: string, why: UnusedAnswer): Proposal {
  const message = 'nothing of this answer was carried out, because it did not arrive as a whole';
  return refuse(part, call, 'invalid', `answer_${why}`, message);
}

function tooMany(part: ToolCallPart, index: number, maxCalls: number): Proposal {
  const message = `of one answer only the first ${maxCalls} calls are looked at`;
  return refuse(part, String(index), 'invalid', 'too_many_calls', message);
}
