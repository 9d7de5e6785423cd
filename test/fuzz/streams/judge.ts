// What must never be of one answer, judged by the bytes that were sent.
import { toAnthropicRequest } from '../../../activities/models/anthropic-wire.ts';
import { ARGUMENTS_DEPTH_MAX } from '../../../activities/models/arguments-text.ts';
import { toOpenAiRequest } from '../../../activities/models/openai-wire.ts';
import { anthropicWire } from '../../../devstack/receivers/anthropic-wire.ts';
import { BadModelRequest } from '../../../devstack/receivers/model-wire.ts';
import { openaiWire } from '../../../devstack/receivers/openai-wire.ts';
import type { Message, ModelAnswer, ToolCallPart } from '../../../domain/rules/transcript.ts';
import type { Wire } from './oracle.ts';
import type { Format, RecordedCall } from './recorded.ts';

export const VIOLATIONS = {
  boughtAgain: 'whole answers that would be bought again',
  strayError: 'errors that are no failure of a model call',
  unstorable: 'answers that cannot be stored as they are',
  usage: 'answers with another usage than was reported',
  acted: 'calls from an answer not to act on',
  ended: 'runs that end with an answer not to act on',
  changed: 'calls with arguments that are not their own',
  lost: 'calls lost beside calls that are sent',
  refused: 'next requests that a provider refuses',
} as const;

export type Violation = keyof typeof VIOLATIONS;

const ACTED_ON: Readonly<Record<Format, readonly unknown[]>> = {
  anthropic: ['end_turn', 'tool_use', 'stop_sequence'],
  openai: ['stop', 'tool_calls', 'function_call'],
};

/** The calls that a run would send. */
export function sentCalls({ stopReason, parts }: ModelAnswer): readonly ToolCallPart[] {
  if (stopReason !== 'tool-calls') return [];
  return parts.filter(
    (part): part is ToolCallPart => part.kind === 'tool-call' && part.malformed === undefined,
  );
}

export interface Judged {
  readonly format: Format;
  readonly answer: ModelAnswer;
  readonly wire: Wire;
  /** The calls of which nothing was changed. */
  readonly intact: readonly RecordedCall[];
}

export function judgeAnswer(judged: Judged): readonly Violation[] {
  const { format, answer, wire } = judged;
  const isForbidden =
    wire.isRefused || wire.stopWords.length !== 1 || !ACTED_ON[format].includes(wire.stopWords[0]);
  const found: Violation[] = [];
  if (isForbidden && answer.stopReason === 'tool-calls') found.push('acted');
  if (isForbidden && answer.stopReason === 'end') found.push('ended');
  if (!isStorable(answer)) found.push('unstorable');
  if (!isUsageKept(judged)) found.push('usage');
  return [...found, ...judgeCalls(judged)];
}

function isStorable({ parts, usage, problem, servedModel, requestId, stopReason }: ModelAnswer) {
  const kept = JSON.stringify([
    parts.filter(({ kind }) => kind !== 'opaque'),
    problem,
    servedModel,
    requestId,
  ]);
  const isNumber = (count: number): boolean => Number.isSafeInteger(count) && count >= 0;
  const isText = !/(?<!\\)(?:\\\\)*\\u(0000|d[89a-f])/.test(kept);
  const isNamed = stopReason !== 'unusable' || (problem !== undefined && problem.length < 500);
  return isText && isNamed && Object.values(usage).every(isNumber) && parts.every(isBounded);
}

function isBounded(part: ModelAnswer['parts'][number]): boolean {
  if (part.kind !== 'tool-call') return true;
  const { id, name, malformed = '', problem = '' } = part;
  const isShort = id.length <= 256 && name.length <= 256 && malformed.length <= 4_001;
  return isShort && problem.length < 500 && depthOf(part.arguments) <= ARGUMENTS_DEPTH_MAX;
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** Where every reported number is one, the last counts. */
function isUsageKept({ answer, wire: { outputTokens } }: Judged): boolean {
  const isSane = outputTokens.every((count) => Number.isSafeInteger(count) && Number(count) >= 0);
  if (!isSane || outputTokens.some((count) => Number(count) > 1e12)) return true;
  return answer.usage.outputTokens === (outputTokens.at(-1) ?? 0);
}

function judgeCalls({ answer, intact }: Judged): readonly Violation[] {
  const sent = sentCalls(answer);
  const found: Violation[] = [];
  for (const part of sent) {
    const text = JSON.stringify(part.arguments);
    const tagged = intact.find(({ tag }) => tag !== '' && text.includes(`"${tag}"`));
    const named = intact.filter(({ id, tag }) => tag !== '' && id === part.id && id.includes(tag));
    const isOwn = (call: RecordedCall): boolean =>
      JSON.stringify(call.arguments) === text && call.id === part.id;
    if ((tagged && !isOwn(tagged)) || named.some((call) => !isOwn(call))) found.push('changed');
  }
  const calls = answer.parts.filter(({ kind }) => kind === 'tool-call').length;
  if (sent.length > 0 && calls < intact.length) found.push('lost');
  return found;
}

/** Why a provider refuses the conversation; undefined: both take it. */
export function findRefusal(messages: readonly Message[]): string | undefined {
  const request = {
    model: 'model-1',
    system: 'You pay.',
    messages,
    tools: [],
    maxOutputTokens: 100,
  };
  const sent = { anthropic: toAnthropicRequest(request), openai: toOpenAiRequest(request) };
  try {
    const version = { 'anthropic-version': '2023-06-01' };
    anthropicWire.parse(asSent(sent.anthropic), version);
    openaiWire.parse(asSent(sent.openai), {});
    return undefined;
  } catch (error) {
    if (error instanceof BadModelRequest) return error.message;
    return `threw ${String(error)}`;
  }
}

function asSent(body: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(body)) as Record<string, unknown>;
}
