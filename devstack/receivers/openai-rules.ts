// What OpenAI's `POST /v1/chat/completions` documents and refuses with 400, in its own words.
import { findRepeated, isObjectSchema } from './model-rules.ts';
import { BadModelRequest } from './model-wire.ts';

export interface WireCall {
  id: string;
  function: { name: string; arguments: string };
}

export interface WireTurn {
  role: string;
  content?: unknown;
  tool_calls?: WireCall[] | undefined;
  tool_call_id?: string | undefined;
}

export interface OfferedFunction {
  name: string;
  parameters?: unknown;
}

/** Throws `BadModelRequest` for the first rule that the conversation breaks. */
export function checkTurns(turns: readonly WireTurn[]): void {
  turns.forEach((turn, at) => {
    const place = `messages[${at}]`;
    const { role, content = null, tool_calls: calls, tool_call_id: answered } = turn;
    if (content === null && !calls)
      refuse(`Invalid value for 'content': expected a string, got null.`, `${place}.content`);
    if (calls?.length === 0)
      refuse(emptyArray(`${place}.tool_calls`), `${place}.tool_calls`, 'empty_array');
    calls?.forEach((call, index) => checkCall(call, `${place}.tool_calls[${index}]`));
    if (role === 'tool') checkText(answered ?? '', `${place}.tool_call_id`, 40);
  });
  checkUnique(turns);
}

function emptyArray(place: string): string {
  return `Invalid '${place}': empty array. Expected an array with minimum length 1, but got an empty array instead.`;
}

function checkCall({ id, function: { name } }: WireCall, place: string): void {
  checkText(id, `${place}.id`, 40);
  checkName(name, `${place}.function.name`);
}

function checkText(text: string, place: string, max: number): void {
  if (text === '') {
    const message = `Invalid '${place}': empty string. Expected a string with minimum length 1, but got an empty string instead.`;
    refuse(message, place, 'empty_string');
  }
  if (text.length > max) {
    const message =
      `Invalid '${place}': string too long. Expected a string with maximum length ${max},` +
      ` but got a string with length ${text.length} instead.`;
    refuse(message, place, 'string_above_max_length');
  }
}

function checkName(name: string, place: string): void {
  checkText(name, place, 64);
  if (!/^[a-zA-Z0-9_-]+$/.test(name)) {
    const message =
      `Invalid '${place}': string does not match pattern.` +
      ` Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`;
    refuse(message, place, 'invalid_value');
  }
}

/** Ids of calls and of their results, each in the whole conversation. */
function checkUnique(turns: readonly WireTurn[]): void {
  const called = turns.flatMap(({ tool_calls: calls = [] }, at) =>
    calls.map(({ id }) => ({ id, at })),
  );
  const answered = turns.flatMap(({ role, tool_call_id: id = '' }, at) =>
    role === 'tool' ? [{ id, at }] : [],
  );
  for (const placed of [called, answered]) {
    const twice = findRepeated(placed.map(({ id }) => id));
    if (!twice) continue;
    const [first, again] = [placed[twice.first]?.at ?? 0, placed[twice.again]?.at ?? 0];
    refuse(
      `Invalid parameter: Duplicate value for 'tool_call_id' of '${twice.value}', in messages[${first}] and messages[${again}].`,
      `messages.[${again}].tool_call_id`,
    );
  }
}

const TOOLS_MAX = 128;

export function checkTools(tools: readonly OfferedFunction[]): void {
  if (tools.length > TOOLS_MAX) {
    const message =
      `Invalid 'tools': array too long. Expected an array with maximum length ${TOOLS_MAX},` +
      ` but got an array with length ${tools.length} instead.`;
    refuse(message, 'tools', 'array_above_max_length');
  }
  tools.forEach(({ name, parameters }, index) => {
    checkName(name, `tools[${index}].function.name`);
    if (parameters !== undefined && !isObjectSchema(parameters)) {
      refuse(
        `Invalid schema for function '${name}': schema must be a JSON Schema of 'type: "object"', got` +
          ` 'type: "${String((parameters as { type?: unknown } | null)?.type ?? 'None')}"'.`,
        `tools[${index}].function.parameters`,
        'invalid_function_parameters',
      );
    }
  });
}

function refuse(message: string, param: string, code: string | null = null): never {
  throw new BadModelRequest(message, param, code);
}
