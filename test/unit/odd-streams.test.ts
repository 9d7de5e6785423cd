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
const payFunction = { name: 'pay', arguments: '{"amount":10}' };
const readAnthropic = (events: readonly object[]) => readStream('anthropic', anthropicBody(events));

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
    [
      'two reasons',
      [
        ...whole.slice(0, 8),
        { type: 'message_delta', delta: { stop_reason: 'end_turn' } },
        ...whole.slice(8),
      ],
    ],
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

describe.each([
  ['anthropic', anthropicBody(anthropicEvents([textBlock('I pay.'), pay], 'tool_use'))],
  [
    'openai',
    openaiBody(
      openaiChunks(
        [
          { content: 'I pay.' },
          { tool_calls: [{ index: 0, id: 'toolu_1', function: payFunction }] },
        ],
        'tool_calls',
      ),
    ),
  ],
] as const)('the bytes of a stream of %s', (format, body) => {
  it.each<[string, (text: string) => string]>([
    ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
    ['CR', (text) => text.replaceAll('\n', '\r')],
    [
      'comments, ids and retries',
      (text) => `: hi\n\n${text.replaceAll('data:', 'id: 1\nretry: 9\ndata:')}`,
    ],
    ['empty events', (text) => `data:\n\ndata: \n\n${text}data: \n\n`],
    ['no blank after the colon', (text) => text.replaceAll('data: ', 'data:')],
    ['a BOM', (text) => `\ufeff${text}`],
    ['no blank line at the end', (text) => text.replace('data: [DONE]\n\n', '').trimEnd()],
    ['events without names', (text) => text.replaceAll(/event: .*\n/g, '')],
    ['events with other names', (text) => text.replaceAll(/event: .*\n/g, 'event: ping\n')],
    [
      'events named thread',
      (text) =>
        text.replaceAll('data: {', 'event: thread.run\ndata: {').replaceAll(/event: [^t].*\n/g, ''),
    ],
  ])('%s → the same answer', async (_case, change) => {
    const answer = await readStream(format, change(body));
    expect(answer).toMatchObject({ stopReason: 'tool-calls', usage: { inputTokens: 10 } });
    expect(callsOf(answer)).toEqual([payCall]);
  });

  guarantee(
    ['answers-read', 'whole-or-nothing'],
    'an event that is not JSON, the end follows → unusable, with its usage',
    async () => {
      const at = body.indexOf('I pay.');
      const cut = `${body.slice(0, at)}${body.slice(body.indexOf('\n\n', at))}`;
      expect(await readStream(format, cut)).toMatchObject({
        stopReason: 'unusable',
        problem: 'an event of the answer is not JSON',
        usage: { inputTokens: 10, outputTokens: 5 },
      });
    },
  );

  guarantee('answers-read', 'cut into pieces of any size → the same answer', async () => {
    const text = body.replaceAll('\n', '\r\n').replace('I pay.', 'Ich zahle 😀.');
    const whole = await readStream(format, text);
    const bytes = new TextEncoder().encode(text);
    for (const size of [1, 2, 3, 7, 64]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
        bytes.slice(n * size, (n + 1) * size),
      );
      expect(await readStream(format, ReadableStream.from(pieces))).toEqual(whole);
    }
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
