// What the bytes of a changed stream say, read without the adapters: whether it ended, for which reasons, and whose calls are intact.
import { textOf } from './mutate.ts';
import type { Format, RecordedCall, StreamEvent } from './recorded.ts';

export interface Wire {
  /** The provider's end mark came, and no error event before it. */
  readonly isWhole: boolean;
  /** Every reason to stop that stands in the stream. */
  readonly stopWords: readonly unknown[];
  /** Numbers of output tokens as reported, in order. */
  readonly outputTokens: readonly unknown[];
  /** All that the answer says of a refusal is empty. */
  readonly isRefused: boolean;
}

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};

/** Reads a body as the specification of event streams says; what is not JSON is skipped. */
export function readWire(format: Format, body: string): Wire {
  const events = body.split('\n\n').flatMap(toValue);
  const read = format === 'anthropic' ? readAnthropic : readOpenai;
  const facts = events.map(read);
  const end = facts.findIndex(({ isEnd }) => isEnd);
  const error = facts.findIndex(({ isError }) => isError);
  const heard = error === -1 ? facts : facts.slice(0, error);
  return {
    isWhole: end !== -1 && (error === -1 || end < error),
    stopWords: [...new Set(heard.flatMap(({ stopWords }) => stopWords))],
    outputTokens: heard.flatMap(({ outputTokens }) => outputTokens),
    isRefused: heard.some(({ isRefused }) => isRefused),
  };
}

function toValue(block: string): unknown[] {
  const lines = block.split('\n').filter((line) => line.startsWith('data: '));
  if (lines.length === 0) return [];
  try {
    return [JSON.parse(lines.map((line) => line.slice(6)).join('\n'))];
  } catch {
    return [];
  }
}

interface Facts {
  readonly isEnd: boolean;
  readonly isError: boolean;
  readonly isRefused: boolean;
  readonly stopWords: readonly unknown[];
  readonly outputTokens: readonly unknown[];
}

function readAnthropic(event: unknown): Facts {
  const { type, message, delta, usage } = fieldsOf(event);
  const word = type === 'message_delta' ? fieldsOf(delta)['stop_reason'] : undefined;
  const reported =
    type === 'message_start' ? fieldsOf(message)['usage'] : type === 'message_delta' ? usage : {};
  const tokens = fieldsOf(reported)['output_tokens'];
  return {
    isEnd: type === 'message_stop',
    isError: type === 'error',
    isRefused: false,
    stopWords: word === undefined || word === null ? [] : [word],
    outputTokens: tokens === undefined ? [] : [tokens],
  };
}

function readOpenai(chunk: unknown): Facts {
  const { error, choices, usage } = fieldsOf(chunk);
  const listed = Array.isArray(choices) ? choices.map(fieldsOf) : [];
  const first = listed.filter(({ index = 0 }) => index === 0);
  const words = first
    .map((choice) => choice['finish_reason'])
    .filter((word) => word !== null && word !== undefined && word !== '');
  const tokens = fieldsOf(usage)['completion_tokens'];
  return {
    isEnd: words.length > 0,
    isError: Boolean(error),
    isRefused: first.some(({ delta }) => {
      const { refusal } = fieldsOf(delta);
      return typeof refusal === 'string' && refusal !== '';
    }),
    stopWords: words,
    outputTokens: tokens === undefined ? [] : [tokens],
  };
}

/** Calls of which every piece is there, in its order, unchanged. */
export function intactCalls(
  format: Format,
  before: readonly StreamEvent[],
  after: readonly StreamEvent[],
  calls: readonly RecordedCall[],
): readonly RecordedCall[] {
  const isOneIndex = format === 'openai' && hasOneIndex(after);
  const sign = (events: readonly StreamEvent[], { owner }: RecordedCall): string =>
    signOf(format, events, owner, isOneIndex);
  const intact = calls.filter((call) => sign(before, call) === sign(after, call));
  // Without numbers the stream itself says that a stray piece, or a start without id and name, is the last call's.
  const isLying =
    intact.length < calls.length || calls.some(({ id, name }) => id === '' && name === '');
  return isOneIndex && isLying ? [] : intact;
}

/** The same whatever the events between are, and however the pieces are cut. */
export function signOf(
  format: Format,
  events: readonly StreamEvent[],
  owner: number,
  isOneIndex = false,
): string {
  const own = events.filter((event) => event.owner === owner);
  return own.map((event) => signEvent(format, event, isOneIndex)).join('');
}

function signEvent(format: Format, event: StreamEvent, isOneIndex: boolean): string {
  if (event.bytes !== undefined) return `bytes ${event.bytes}`;
  const value = fieldsOf(event.value);
  if (format === 'anthropic') return textOf(event);
  const choice = fieldsOf((value['choices'] as unknown[] | undefined)?.[0]);
  const pieces = fieldsOf(choice['delta'])['tool_calls'];
  if (!Array.isArray(pieces) || choice['index'] !== 0 || 'error' in value) return textOf(event);
  return pieces.map((piece) => signPiece(fieldsOf(piece), isOneIndex)).join('');
}

function signPiece({ index, id, function: given }: Fields, isOneIndex: boolean): string {
  const { name, arguments: text } = fieldsOf(given);
  const head = id === undefined && name === undefined ? '' : JSON.stringify({ id, name });
  return `${isOneIndex ? '' : String(index)}${head}${String(text)}`;
}

function hasOneIndex(events: readonly StreamEvent[]): boolean {
  const indexes = events.flatMap(({ value }) => {
    const choice = fieldsOf((fieldsOf(value)['choices'] as unknown[] | undefined)?.[0]);
    const pieces = fieldsOf(choice['delta'])['tool_calls'];
    return Array.isArray(pieces) ? pieces.map((piece) => fieldsOf(piece)['index']) : [];
  });
  return new Set(indexes).size <= 1;
}
