// Chunks of OpenAI's format as loose servers send them, through the real SDK: used when they are whole, else unusable.
import { describe, expect, it } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import { callsOf, openaiBody, openaiChunks, readStream } from './raw-streams.ts';

const readOpenai = (chunks: readonly unknown[]) => readStream('openai', openaiBody(chunks));
const call = (fields: object, text?: string) => ({
  tool_calls: [{ ...fields, ...(text === undefined ? {} : { function: { arguments: text } }) }],
});

describe('why an answer of OpenAI ended', () => {
  const payDelta = {
    tool_calls: [{ index: 0, id: 'call_1', function: { name: 'pay', arguments: '{}' } }],
  };
  it.each([
    ['stop', 'end', 'tool-calls'],
    ['tool_calls', 'unusable', 'tool-calls'],
    ['function_call', 'unusable', 'tool-calls'],
    ['length', 'max-tokens', 'max-tokens'],
    ['content_filter', 'refusal', 'refusal'],
    ['insufficient_system_resource', 'unusable', 'unusable'],
  ])('%s → %s without calls, %s with a call', async (reason, without, withCall) => {
    const bare = await readOpenai(openaiChunks([{ content: 'Hm.' }], reason));
    const calling = await readOpenai(openaiChunks([payDelta], reason));
    expect([bare.stopReason, calling.stopReason]).toEqual([without, withCall]);
    expect(calling.usage).toMatchObject({ inputTokens: 10, outputTokens: 5 });
  });

  it('a text and a refusal → both are kept, and it is a refusal', async () => {
    const answer = await readOpenai(
      openaiChunks([{ content: 'Well. ' }, { refusal: 'No.' }], 'stop'),
    );
    expect(answer.stopReason).toBe('refusal');
    expect(answer.parts.map((part) => 'text' in part && part.text)).toEqual(['Well. ', 'No.']);
  });

  it('the legacy function call → a call', async () => {
    const answer = await readOpenai(
      openaiChunks(
        [
          { function_call: { name: 'pay', arguments: '' } },
          { function_call: { arguments: '{"amount":10}' } },
        ],
        'function_call',
      ),
    );
    expect(answer.stopReason).toBe('tool-calls');
    expect(callsOf(answer)).toMatchObject([{ name: 'pay', arguments: { amount: 10 } }]);
  });
});

describe('chunks of OpenAI and of servers that follow it loosely', () => {
  guarantee.each('answers-read', [
    ['a chunk without delta', [{ choices: [{ index: 0 }] }]],
    ['delta: null', [{ choices: [{ index: 0, delta: null, finish_reason: null }] }]],
    ['usage without choices', [{ usage: { prompt_tokens: 10, completion_tokens: 5 } }]],
    ['choices: null', [{ choices: null, usage: null }]],
    ['null', [null]],
    ['an empty reason', [{ choices: [{ index: 0, delta: {}, finish_reason: '' }] }]],
  ] as const)('%s → the answer is whole', async (_case, odd) => {
    const [first, ...rest] = openaiChunks([{ content: 'Hi.' }], 'stop');
    const answer = await readOpenai([first, ...odd, ...rest]);
    expect(answer).toMatchObject({
      parts: [{ kind: 'text', text: 'Hi.' }],
      stopReason: 'end',
      usage: { inputTokens: 10, outputTokens: 5 },
    });
  });

  it('no usage, and counts that are no numbers → 0', async () => {
    const chunks = openaiChunks([{ content: 'Hi.' }], 'stop');
    expect((await readOpenai(chunks.slice(0, -1))).usage.inputTokens).toBe(0);
    const usage = { prompt_tokens: '12', completion_tokens: -3, prompt_tokens_details: 7 };
    const odd = await readOpenai([...chunks.slice(0, -1), { choices: [], usage }]);
    expect(odd.usage).toEqual({ inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 });
    const later = await readOpenai([...chunks, { choices: [], usage: [[7]] }]);
    expect(later.usage).toMatchObject({ inputTokens: 10, outputTokens: 5 });
  });

  const a = { id: 'a', function: { name: 'pay', arguments: '' } };
  const b = { id: 'b', function: { name: 'refund', arguments: '' } };
  const whole = (one: typeof a, text: string) => ({
    ...one,
    function: { ...one.function, arguments: text },
  });

  guarantee.each(['answers-read', 'whole-or-nothing'], [
    [
      'both with index 0',
      [
        call({ index: 0, ...a }),
        call({ index: 0 }, '{"k":1}'),
        call({ index: 0, ...b }),
        call({ index: 0 }, '{"k":2}'),
      ],
    ],
    ['without index', [call(a), call({}, '{"k":1}'), call(b), call({}, '{"k":2}')]],
    ['by id only', [call(a), call(b), call({ id: 'b' }, '{"k":2}'), call({ id: 'a' }, '{"k":1}')]],
    ['whole in one chunk', [{ tool_calls: [whole(a, '{"k":1}'), whole(b, '{"k":2}')] }]],
    [
      'id and name in each piece',
      [
        call({ index: 0, ...whole(a, '{"k"') }),
        call({ index: 0, ...whole(a, ':1}') }),
        call({ index: 0, ...whole(b, '{"k":2}') }),
      ],
    ],
  ] as const)('two calls %s → two calls, each with its own arguments', async (_case, deltas) => {
    const answer = await readOpenai(openaiChunks(deltas, 'tool_calls'));
    expect(answer.stopReason).toBe('tool-calls');
    expect(callsOf(answer)).toEqual([
      { kind: 'tool-call', id: 'a', name: 'pay', arguments: { k: 1 } },
      { kind: 'tool-call', id: 'b', name: 'refund', arguments: { k: 2 } },
    ]);
  });

  guarantee.each(['answers-read', 'whole-or-nothing'], [
    [
      'arguments that may be of either call',
      [call({ index: 0, ...a }), call({ index: 0, ...b }), call({ index: 0 }, '{}')],
    ],
    ['the same without index', [call(a), call(b), call({}, '{}'), call({}, '{}')]],
    ['arguments before any call', [call({ index: 0 }, '{}'), call({ index: 0, ...a })]],
    ['arguments that lost their index', [call({ index: 0, ...a }), call({}, '{"k":1}')]],
    [
      'no ids and one number',
      [
        call({ index: 0, ...whole({ ...a, id: '' }, '{}') }),
        call({ index: 0, ...whole({ ...b, id: '' }, '{}') }),
      ],
    ],
    [
      'one id and two names',
      [
        call({ index: 0, ...whole(a, '{}') }),
        call({ index: 0, ...whole({ ...b, id: 'a' }, '{}') }),
      ],
    ],
    [
      'a start without an id after one without a name',
      [
        call({ index: 0, ...a, function: { name: '', arguments: '' } }),
        call({ index: 0, id: '', function: { name: 'refund', arguments: '{}' } }),
      ],
    ],
    [
      'a start without a name after one without an id',
      [
        call({ index: 0, ...a, id: '' }),
        call({ index: 0, ...b, function: { name: '', arguments: '' } }),
        call({ index: 0 }, '{"k":1}'),
      ],
    ],
    [
      'arguments that are no text',
      [call({ index: 0, id: 'a', function: { name: 'pay', arguments: { k: 1 } } })],
    ],
  ] as const)('%s → unusable, with its usage', async (_case, deltas) => {
    const answer = await readOpenai(openaiChunks(deltas, 'tool_calls'));
    expect(answer).toMatchObject({
      stopReason: 'unusable',
      problem: expect.stringMatching(/call/),
      usage: { inputTokens: 10, outputTokens: 5 },
    });
  });

  it('two calls with empty ids → both', async () => {
    const answer = await readOpenai(
      openaiChunks(
        [
          call({ index: 0, ...whole({ ...a, id: '' }, '{}') }),
          call({ index: 1, ...whole({ ...a, id: '' }, '{}') }),
        ],
        'stop',
      ),
    );
    expect(answer.stopReason).toBe('tool-calls');
    expect(callsOf(answer)).toHaveLength(2);
  });

  it('calls after the end, a second choice, a second reason → unusable', async () => {
    const chunks = openaiChunks([call(whole(a, '{}'))], 'tool_calls');
    const more = (choice: object) => readOpenai([...chunks, { choices: [choice] }]);
    expect((await more({ index: 0, delta: call(b) })).stopReason).toBe('unusable');
    expect((await more({ index: 1, delta: { content: 'Or.' } })).stopReason).toBe('unusable');
    expect((await more({ index: 0, delta: {}, finish_reason: 'stop' })).stopReason).toBe(
      'unusable',
    );
  });
});
