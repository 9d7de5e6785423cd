// What goes back to a provider: accepted by the rules that both APIs document, whatever stands in the transcript.
import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { toAnthropicRequest } from '../../activities/models/anthropic-wire.ts';
import { toOpenAiRequest } from '../../activities/models/openai-wire.ts';
import { toWireId } from '../../activities/models/wire-values.ts';
import { anthropicWire } from '../../devstack/receivers/anthropic-wire.ts';
import type { NeutralRequest } from '../../devstack/receivers/model-script.ts';
import { toolResults } from '../../devstack/receivers/model-script.ts';
import { openaiWire } from '../../devstack/receivers/openai-wire.ts';
import type { Json } from '../../domain/rules/json.ts';
import type { Message, Part, Role } from '../../domain/rules/transcript.ts';
import { guarantee } from '../guarantee.ts';
import { modelRequest, say } from './model-calls.ts';
import { checkProperty } from './support-properties.ts';

const wires = { anthropic: toAnthropicRequest, openai: toOpenAiRequest } as const;
type Format = keyof typeof wires;

const toBytes = (format: Format, messages: readonly Message[], system?: string): string =>
  JSON.stringify(
    wires[format](modelRequest({ messages, ...(system === undefined ? {} : { system }) })),
  );

/** What the provider reads; throws as it refuses. */
function accept(format: Format, messages: readonly Message[], system?: string): NeutralRequest {
  const body = JSON.parse(toBytes(format, messages, system)) as Record<string, unknown>;
  if (format === 'openai') return openaiWire.parse(body, {});
  return anthropicWire.parse(body, { 'anthropic-version': '2023-06-01' });
}

const answer = (...parts: Part[]): Message => ({ role: 'assistant', parts });
const results = (...parts: Part[]): Message => ({ role: 'tool', parts });
const call = (id: string, name = 'refund', args: Json = {}): Part => ({
  kind: 'tool-call',
  id,
  name,
  arguments: args,
});
const result = (id: string, content: Json): Part => ({
  kind: 'tool-result',
  id,
  name: 'refund',
  content,
  isError: false,
});
const text = (words: string): Part => ({ kind: 'text', text: words });
const seen = (request: NeutralRequest): unknown[] =>
  toolResults(request).map(({ arguments: args, text: given }) => [args, given]);

describe.each(['anthropic', 'openai'] as const)('a transcript for %s', (format) => {
  guarantee(
    'always-sendable',
    'one id in an answer and again in a later turn → each call has its own result',
    () => {
      const messages = [
        say('Refund.'),
        answer(
          call('a', 'refund', { k: 1 }),
          call('a', 'refund', { k: 2 }),
          call('', 'refund', { k: 3 }),
        ),
        results(result('a', 'one')),
        results(result('a', 'two')),
        results(result('', 'three')),
        answer(call('a', 'refund', { k: 4 }), call('', 'refund', { k: 5 })),
        results(result('', 'five'), result('a', 'four')),
      ];
      expect(seen(accept(format, messages))).toEqual([
        [{ k: 1 }, 'one'],
        [{ k: 2 }, 'two'],
        [{ k: 3 }, 'three'],
        [{ k: 4 }, 'four'],
        [{ k: 5 }, 'five'],
      ]);
    },
  );

  guarantee.each('always-sendable', [
    ['a dot', 'multi_tool_use.parallel', 'multi_tool_use_parallel'],
    ['nothing', '', 'unnamed'],
    ['300 letters', 'x'.repeat(300), 'x'.repeat(64)],
    ['control characters', 'pay\u0000\u0007', 'pay__'],
    ['an umlaut', 'zahlung-ü', 'zahlung-_'],
  ] as const)('a tool name with %s → one that is taken', (_case, name, sent) => {
    const { messages } = accept(format, [
      say('Go.'),
      answer(call('a', name)),
      results(result('a', 'x')),
    ]);
    expect(messages[1]?.parts).toMatchObject([{ kind: 'toolCall', name: sent }]);
  });

  guarantee(
    'always-sendable',
    'blank texts and blank answers → left out, and roles alternate',
    () => {
      const { messages } = accept(format, [
        say('One.'),
        answer(text('\n\n'), call('a')),
        results(result('a', 'x')),
        say(' '),
        answer(text(''), text('\n')),
        say('Two.'),
        answer(),
      ]);
      const roles = messages.map(({ role, parts }) => [role, parts.map(({ kind }) => kind)]);
      const expected = [
        ['user', ['text']],
        ['assistant', ['toolCall']],
      ];
      expect(roles.slice(0, 2)).toEqual(expected);
      expect(roles.slice(2).flatMap(([, kinds]) => kinds)).toEqual(['toolResult', 'text']);
    },
  );

  guarantee(
    'always-sendable',
    'nothing at all, nothing but blanks, answers at both ends → a conversation',
    () => {
      for (const messages of [[], [say('')], [answer(text(' '))], [answer(text('Hi.'))]]) {
        const sent = accept(format, messages, ' ').messages;
        expect([sent[0]?.role, sent.at(-1)?.role]).toEqual(['user', 'user']);
      }
    },
  );

  guarantee(
    'always-sendable',
    'calls without results, results without calls → a result for each call',
    () => {
      const messages = [
        results(result('z', 'lost')),
        say('Go.'),
        answer(call('a'), call('b')),
        results(result('b', 'b'), result('b', 'again'), result('y', 'lost')),
        answer(call('c')),
      ];
      const given = toolResults(accept(format, messages));
      expect(given.map(({ text: words }) => /there is no result/.test(words))).toEqual([
        true,
        false,
        true,
      ]);
      expect(toBytes(format, messages)).not.toMatch(/lost|again/);
    },
  );

  it('half pairs in texts, results, arguments and the system prompt → replaced', () => {
    const half = 'a\ud83d';
    const messages = [
      say(half),
      answer(text(half), call('a', 'refund', { [half]: half })),
      results(result('a', { [half]: [half] })),
    ];
    const sent = accept(format, messages, half);
    expect(sent.system).toBe('a\ufffd');
    expect(toolResults(sent)[0]?.text).toBe('{"a\ufffd":["a\ufffd"]}');
  });

  it('arguments that are malformed, no object, or too deep → an object', () => {
    const deep = JSON.parse(`${'['.repeat(9_000)}${']'.repeat(9_000)}`) as Json;
    const malformed: Part = { ...call('b'), arguments: null, malformed: '{"a' } as Part;
    const messages = [
      say('Go.'),
      answer(call('a', 'refund', [7]), malformed, call('c', 'refund', deep)),
    ];
    const given = toolResults(accept(format, messages)).map(({ arguments: args }) => args);
    expect(given.slice(0, 2)).toEqual([{ value: [7] }, { malformed_arguments: '{"a' }]);
    expect(given[2]).toEqual({ value: expect.any(String) });
  });
});

const MODEL = modelRequest().model;
const sign = (thinking: string): string =>
  createHash('sha256').update(`signed\n${thinking}`).digest('base64');
const opaque = (block: object, model = MODEL, provider = 'anthropic'): Part => ({
  kind: 'opaque',
  provider,
  data: { model, block } as unknown as Json,
});
const thinking = opaque({ type: 'thinking', thinking: 'Hm.', signature: sign('Hm.') });

describe('opaque parts', () => {
  it('thinking before a call → goes back; at the end, alone or unsigned → left out', () => {
    const sentKinds = (...parts: Part[]): unknown =>
      accept('anthropic', [say('Go.'), answer(...parts), say('And?')]).messages[1]?.parts.map(
        ({ kind }) => kind,
      );
    expect(sentKinds(thinking, text('Hi.'))).toEqual(['other', 'text']);
    expect(sentKinds(text('Hi.'), thinking)).toEqual(['text']);
    expect(sentKinds(thinking)).toBeUndefined();
    for (const block of [
      { type: 'thinking', thinking: 'Hm.' },
      { type: 'thinking', thinking: 7, signature: 'x' },
      { type: 'thinking', thinking: '\ud800', signature: sign('\ud800') },
      { type: 'redacted_thinking', data: '' },
      { type: 'server_tool_use', id: 's', name: 'web_search', input: {} },
      { type: 'text', text: '' },
    ])
      expect(sentKinds(opaque(block), text('Hi.'))).toEqual(['text']);
  });
});

const ids = [
  '',
  'a',
  'b',
  'call_1',
  'x'.repeat(90),
  'functions.refund:0',
  toWireId('a', 1),
  toWireId(''),
];
const words = ['', ' ', '\n\n', 'Hi.', 'a\ud800', '\u0000', 'Bye. '];
const anyPart: fc.Arbitrary<Part> = fc.oneof(
  fc.constantFrom(...words).map(text),
  fc
    .tuple(
      fc.constantFrom(...ids),
      fc.constantFrom('refund', '', 'a.b', 'y'.repeat(300)),
      fc.jsonValue(),
    )
    .map(([id, name, args]) => call(id, name, args as Json)),
  fc.constantFrom(...ids).map((id) => ({ ...call(id), arguments: null, malformed: '{' }) as Part),
  fc
    .tuple(fc.constantFrom(...ids), fc.jsonValue())
    .map(([id, content]) => result(id, content as Json)),
  fc.constantFrom(
    thinking,
    opaque({ type: 'thinking', thinking: 'Hm.', signature: sign('Hm.') }, 'model-2'),
    opaque({ type: 'redacted_thinking', data: 'x' }),
    opaque({ type: 'tool_use', id: 'a', name: 'b', input: {} }),
    opaque({ type: 'thinking', thinking: 'Hm.', signature: 'x' }, MODEL, 'openai'),
    { kind: 'opaque', provider: 'anthropic', data: null } as Part,
  ),
);
const anyMessage: fc.Arbitrary<Message> = fc.record({
  role: fc.constantFrom<Role>('user', 'assistant', 'tool'),
  parts: fc.array(anyPart, { maxLength: 4 }),
});
const anyTranscript = fc.array(anyMessage, { maxLength: 8 });

describe.each(['anthropic', 'openai'] as const)('any transcript for %s', (format) => {
  guarantee('always-sendable', 'accepted', () => {
    checkProperty(
      fc.property(anyTranscript, (messages) => {
        accept(format, messages);
      }),
    );
  });

  guarantee('always-sendable', 'goes on → begins with the same bytes', () => {
    checkProperty(
      fc.property(anyTranscript, anyTranscript, (before, after) => {
        const first = [...before, say('And?')];
        const next = [...first, answer(text('Well.')), ...after];
        return toBytes(format, next).startsWith(toBytes(format, first).slice(0, -2));
      }),
    );
  });
});
