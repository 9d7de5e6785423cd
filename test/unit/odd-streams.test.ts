// Answers that no well-behaved provider gives, through the real SDKs: used when they are whole, else unusable; never an error.
import { describe, expect, it } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import {
  anthropicBody,
  anthropicEvents,
  callBlock,
  callsOf,
  openaiBody,
  openaiChunks,
  readStream,
  textBlock,
} from './raw-streams.ts';

const pay = callBlock('toolu_1', 'pay', '{"amount":', '10}');
const payCall = { kind: 'tool-call', id: 'toolu_1', name: 'pay', arguments: { amount: 10 } };
const readAnthropic = (events: readonly object[]) => readStream('anthropic', anthropicBody(events));
const readOpenai = (chunks: readonly unknown[]) => readStream('openai', openaiBody(chunks));
const call = (fields: object, text?: string) => ({
  tool_calls: [{ ...fields, ...(text === undefined ? {} : { function: { arguments: text } }) }],
});

describe('why an answer of Anthropic ended', () => {
  it.each([
    ['end_turn', 'end', 'tool-calls'],
    ['stop_sequence', 'end', 'tool-calls'],
    ['tool_use', 'unusable', 'tool-calls'],
    ['max_tokens', 'max-tokens', 'max-tokens'],
    ['model_context_window_exceeded', 'max-tokens', 'max-tokens'],
    ['refusal', 'refusal', 'refusal'],
    ['pause_turn', 'paused', 'paused'],
    ['some_new_reason', 'unusable', 'unusable'],
    [null, 'unusable', 'unusable'],
    [7, 'unusable', 'unusable'],
  ])('%s → %s without calls, %s with a call', async (reason, without, withCall) => {
    for (const [blocks, stopReason] of [
      [[], without],
      [[textBlock('Hm.')], without],
      [[pay], withCall],
    ] as const) {
      const answer = await readAnthropic(anthropicEvents(blocks, reason));
      expect(answer.stopReason).toBe(stopReason);
      expect(answer.problem === undefined).toBe(stopReason !== 'unusable');
      expect(answer.usage).toMatchObject({ inputTokens: 10, outputTokens: 5 });
    }
  });

  it('an unknown reason → named in the problem', async () => {
    const answer = await readAnthropic(anthropicEvents([textBlock('Hm.')], 'some_new_reason'));
    expect(answer.problem).toBe('the answer ended with the unknown reason "some_new_reason"');
    expect(answer.parts).toEqual([{ kind: 'text', text: 'Hm.' }]);
  });
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

describe('events of Anthropic and of servers that follow it loosely', () => {
  const whole = anthropicEvents([textBlock('I pay.'), pay], 'tool_use');
  const without = (index: number) => whole.filter((_event, at) => at !== index);

  it('the whole message → the call', async () => {
    const answer = await readAnthropic(whole);
    expect(answer.stopReason).toBe('tool-calls');
    expect(callsOf(answer)).toEqual([payCall]);
  });

  guarantee.each(['answers-read', 'whole-or-nothing'], [
    ['a block that begins twice', [...whole.slice(0, 5), whole[4], ...whole.slice(5)]],
    ['a piece for a block that never began', without(4)],
    ['a block that never ended', without(7)],
    ['a block after the end', [...whole, ...whole.slice(1, 4)]],
    ['two messages in one', [...whole.slice(0, 4), whole[0], ...whole.slice(4)]],
    ['no message_delta', without(8)],
    ['a call without a name', anthropicEvents([callBlock('toolu_1', undefined, '{}')], 'tool_use')],
    [
      'a piece of another kind',
      anthropicEvents(
        [{ start: pay.start, deltas: [{ type: 'text_delta', text: '{}' }] }],
        'tool_use',
      ),
    ],
    [
      'a piece that is no text',
      anthropicEvents(
        [{ start: pay.start, deltas: [{ type: 'input_json_delta', partial_json: 7 }] }],
        'tool_use',
      ),
    ],
    ['a block without a type', anthropicEvents([{ start: { name: 'pay' } }], 'tool_use')],
  ] as [string, object[]][])('%s → unusable', async (_case, events) => {
    const answer = await readAnthropic(events);
    expect(answer).toMatchObject({ stopReason: 'unusable', usage: { inputTokens: 10 } });
    expect(answer.problem).toMatch(/block|message|piece|answer/);
  });

  guarantee(
    'answers-read',
    'unwhole arguments in an answer that calls tools → malformed',
    async () => {
      const answer = await readAnthropic(
        anthropicEvents([callBlock('a', 'pay', '{"amount":')], 'tool_use'),
      );
      expect(answer.stopReason).toBe('tool-calls');
      expect(callsOf(answer)).toMatchObject([{ arguments: null, malformed: '{"amount":' }]);
    },
  );

  it('the input with the start of its block → the same arguments', async () => {
    const start = { type: 'tool_use', id: 'toolu_1', name: 'pay', input: { amount: 10 } };
    expect(callsOf(await readAnthropic(anthropicEvents([{ start }], 'tool_use')))).toEqual([
      payCall,
    ]);
    const twice = [
      { start, deltas: [{ type: 'input_json_delta', partial_json: '{"amount":20}' }] },
    ];
    const answer = await readAnthropic(anthropicEvents(twice, 'tool_use'));
    expect(callsOf(answer)).toMatchObject([{ problem: 'the arguments came twice' }]);
  });

  it('a call without an id or any input, usage that is none, an unknown event → used', async () => {
    const events = anthropicEvents([callBlock(undefined, 'pay')], 'tool_use');
    const odd = { type: 'message_start', message: { model: 7, usage: { input_tokens: 'many' } } };
    const answer = await readAnthropic([odd, { type: 'new_kind' }, ...events.slice(1)]);
    expect(answer).toMatchObject({
      stopReason: 'tool-calls',
      servedModel: '7',
      usage: { inputTokens: 0 },
    });
    expect(callsOf(answer)).toMatchObject([{ id: '', arguments: {} }]);
  });

  it('a block that is not ours, its JSON broken → kept without its input', async () => {
    const start = { type: 'server_tool_use', id: 's', name: 'web_search', input: {} };
    const deltas = [{ type: 'input_json_delta', partial_json: '{"query' }];
    const answer = await readAnthropic(
      anthropicEvents([{ start, deltas }, textBlock('Hi.')], 'end_turn'),
    );
    expect(answer.stopReason).toBe('end');
    expect(answer.parts).toMatchObject([{ kind: 'opaque' }, { text: 'Hi.' }]);
  });

  it('ids, names and texts that no database takes → storable', async () => {
    const blocks = [
      textBlock('a\u0000\ud800'),
      callBlock('i\u0000', `n\u0000${'x'.repeat(9_999)}`),
    ];
    const { parts } = await readAnthropic(anthropicEvents(blocks, 'tool_use'));
    expect(JSON.stringify(parts)).not.toMatch(/\\u0000|\\ud800/);
    expect(JSON.stringify(parts).length).toBeLessThan(400);
  });
});

describe('what breaks after the end', () => {
  guarantee.each('answers-read', [
    ['anthropic', anthropicBody(anthropicEvents([pay], 'tool_use'))],
    ['openai', openaiBody(openaiChunks([{ content: 'Hi.' }], 'stop'))],
  ] as const)('%s: an error event or nonsense → the whole answer', async (format, body) => {
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };
    for (const junk of [
      `event: error\ndata: ${JSON.stringify(error)}\n\n`,
      'event: x\ndata: {\n\n',
    ]) {
      const end = body.replace('data: [DONE]\n\n', '');
      const answer = await readStream(format, `${end}${junk}`);
      expect(answer.parts).toHaveLength(1);
      expect(answer.usage).toMatchObject({ inputTokens: 10, outputTokens: 5 });
    }
  });

  it.each([
    ['anthropic', anthropicBody(anthropicEvents([pay], 'tool_use').slice(0, -2))],
    ['openai', openaiBody(openaiChunks([{ content: 'Hi.' }], 'stop').slice(0, 2))],
  ] as const)(
    '%s: a stream that ends early → cut, with what was reported',
    async (format, body) => {
      const failure = await readStream(format, body).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        facts: { kind: 'cut' },
        usage: { inputTokens: format === 'anthropic' ? 10 : 0 },
      });
    },
  );
});
