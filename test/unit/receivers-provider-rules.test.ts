// The rules that the model provider enforces, over HTTP: what the two APIs refuse with 400 is refused here, in their words.
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { scriptedReplies } from '../../devstack/receivers/model-script.ts';
import { type ModelProvider, startModelProvider } from '../../devstack/receivers/model-provider.ts';

let provider: ModelProvider;
beforeEach(async () => {
  provider = await startModelProvider({ script: scriptedReplies([]) });
});
afterEach(() => provider.close());

async function refusalOf(path: string, body: object): Promise<unknown> {
  const response = await fetch(`${provider.url}${path}`, {
    method: 'POST',
    headers: { 'x-api-key': 'k', authorization: 'Bearer k', 'anthropic-version': '2023-06-01' },
    body: JSON.stringify({ model: 'm', max_tokens: 9, ...body }),
  });
  expect(response.status).toBe(400);
  return ((await response.json()) as { error: unknown }).error;
}

const user = { role: 'user', content: 'Hi.' };
const said = (...content: object[]) => ({ role: 'assistant', content });
const use = (id: string, name = 'pay', input: unknown = {}) => ({
  type: 'tool_use',
  id,
  name,
  input,
});
const given = (id: string) => ({ type: 'tool_result', tool_use_id: id, content: 'x' });
const text = (words: string) => ({ type: 'text', text: words });
const tool = (name: string, schema: unknown) => ({ name, input_schema: schema });
const object = { type: 'object' };

it.each<[string, object, RegExp]>([
  [
    'the first message',
    { messages: [said(text('Hi.'))] },
    /first message must use the "user" role/,
  ],
  [
    'two users',
    { messages: [user, user] },
    /roles must alternate .* multiple "user" roles in a row/,
  ],
  [
    'an empty message',
    { messages: [{ role: 'user', content: [] }] },
    /must have non-empty content/,
  ],
  [
    'an empty text',
    { messages: [{ role: 'user', content: '' }] },
    /text content blocks must be non-empty/,
  ],
  [
    'a blank text',
    { messages: [user, said(text('\n\n')), user] },
    /must contain non-whitespace text/,
  ],
  ['a blank system text', { messages: [user], system: [text(' ')] }, /system: .* non-whitespace/],
  [
    'an id',
    { messages: [user, said(use('a:b'))] },
    /messages\.1\.content\.0\.tool_use\.id: String should match pattern/,
  ],
  [
    'a name',
    { messages: [user, said(use('a', 'a.b'))] },
    /tool_use\.name: String should match pattern/,
  ],
  [
    'an input',
    { messages: [user, said(use('a', 'pay', [1]))] },
    /Input should be a valid dictionary/,
  ],
  [
    'two equal ids',
    { messages: [user, said(use('a'), use('a')), { role: 'user', content: [given('a')] }] },
    /`tool_use` ids must be unique/,
  ],
  [
    'no result',
    { messages: [user, said(use('a')), user] },
    /`tool_use` ids were found without `tool_result` blocks/,
  ],
  [
    'a lost result',
    { messages: [user, said(text('Hi.')), { role: 'user', content: [given('a')] }] },
    /unexpected `tool_use_id` found/,
  ],
  [
    'two results',
    { messages: [user, said(use('a')), { role: 'user', content: [given('a'), given('a')] }] },
    /must have a single result/,
  ],
  [
    'a late result',
    { messages: [user, said(use('a')), { role: 'user', content: [text('x'), given('a')] }] },
    /at the beginning of this message/,
  ],
  [
    'thinking last',
    { messages: [user, said({ type: 'redacted_thinking', data: 'x' }), user] },
    /final block in an assistant message/,
  ],
  [
    'a user that thinks',
    { messages: [{ role: 'user', content: [{ type: 'thinking' }] }] },
    /only be in `assistant`/,
  ],
  [
    'a tail of blanks',
    { messages: [user, said(text('Hi. '))] },
    /cannot end with trailing whitespace/,
  ],
  [
    'a schema that is a union',
    { messages: [user], tools: [tool('a', { anyOf: [] })] },
    /input_schema\.type: Input should be 'object'/,
  ],
  [
    'a tool twice',
    { messages: [user], tools: [tool('a', object), tool('a', object)] },
    /Tool names must be unique/,
  ],
  [
    'half a pair',
    { messages: [{ role: 'user', content: 'a\ud800' }] },
    /not valid JSON: no low surrogate/,
  ],
])('Anthropic: %s → 400', async (_case, body, message) => {
  const error = await refusalOf('/v1/messages', body);
  expect(error).toEqual({ type: 'invalid_request_error', message: expect.stringMatching(message) });
});

const calling = (...calls: [id: string, name: string][]) => ({
  role: 'assistant',
  content: null,
  tool_calls: calls.map(([id, name]) => ({
    id,
    type: 'function',
    function: { name, arguments: '{}' },
  })),
});
const answers = (id: string) => ({ role: 'tool', tool_call_id: id, content: 'x' });
const offered = (name: string, parameters: unknown) => ({
  type: 'function',
  function: { name, parameters },
});

it.each<[string, object, RegExp, string | null]>([
  [
    'no content',
    { messages: [user, { role: 'assistant', content: null }] },
    /expected a string, got null/,
    null,
  ],
  ['no calls', { messages: [user, calling()] }, /tool_calls': empty array/, 'empty_array'],
  [
    'an empty id',
    { messages: [user, calling(['', 'pay'])] },
    /'messages\[1\]\.tool_calls\[0\]\.id': empty string/,
    'empty_string',
  ],
  [
    'a long id',
    { messages: [user, calling(['x'.repeat(41), 'pay'])] },
    /maximum length 40, but got a string with length 41/,
    'string_above_max_length',
  ],
  [
    'a name',
    { messages: [user, calling(['a', 'a.b'])] },
    /does not match pattern/,
    'invalid_value',
  ],
  [
    'a long name',
    { messages: [user, calling(['a', 'x'.repeat(65)])] },
    /maximum length 64/,
    'string_above_max_length',
  ],
  [
    'two equal ids',
    { messages: [user, calling(['a', 'pay'], ['a', 'pay']), answers('a')] },
    /Duplicate value for 'tool_call_id' of 'a'/,
    null,
  ],
  [
    'an id of a turn before',
    { messages: [user, calling(['a', 'pay']), answers('a'), calling(['a', 'pay']), answers('a')] },
    /in messages\[1\] and messages\[3\]/,
    null,
  ],
  [
    'two results',
    { messages: [user, calling(['a', 'pay']), answers('a'), answers('a')] },
    /in messages\[2\] and messages\[3\]/,
    null,
  ],
  [
    'no result',
    { messages: [user, calling(['a', 'pay']), user] },
    /did not have response messages: a/,
    null,
  ],
  [
    'a lost result',
    { messages: [user, answers('a')] },
    /must be a response to a preceding message/,
    null,
  ],
  [
    'a schema that is no object',
    { messages: [user], tools: [offered('a', { type: 'array' })] },
    /got 'type: "array"'/,
    'invalid_function_parameters',
  ],
  [
    '129 tools',
    { messages: [user], tools: Array.from({ length: 129 }, (_, n) => offered(`t${n}`, object)) },
    /maximum length 128/,
    'array_above_max_length',
  ],
  ['half a pair', { messages: [{ role: 'user', content: '\ud800' }] }, /not valid JSON/, null],
])('OpenAI: %s → 400', async (_case, body, message, code) => {
  const error = await refusalOf('/v1/chat/completions', body);
  expect(error).toMatchObject({
    type: 'invalid_request_error',
    message: expect.stringMatching(message),
    code,
  });
});
