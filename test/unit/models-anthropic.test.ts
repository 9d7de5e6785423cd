// The Anthropic adapter against a real local server: the shared cases, then what only this wire format has.
import { describe, expect, it } from '@jest/globals';
import { createAnthropicProvider } from '../../activities/models/anthropic.ts';
import { createOpenAiProvider } from '../../activities/models/openai.ts';
import type { Message } from '../../domain/rules/transcript.ts';
import { API_KEY, callContext, describeAdapter, modelRequest, say } from './model-calls.ts';

describe('the Anthropic adapter', () => {
  const { start } = describeAdapter({
    name: 'anthropic',
    create: createAnthropicProvider,
    baseUrl: (provider) => provider.url,
    createWithout: (error) =>
      createAnthropicProvider({ apiKey: API_KEY }, () => Promise.reject(error)),
  });
  const thinkAndCall = {
    thinking: 'The order is 7, so I refund it.',
    toolCalls: [{ id: 'toolu_1', name: 'refund', arguments: { orderId: '7' } }],
  };
  const result: Message = {
    role: 'tool',
    parts: [{ kind: 'tool-result', id: 'toolu_1', name: 'refund', content: 'ok', isError: false }],
  };

  it('thinking → an opaque part that the same model gets back verbatim', async () => {
    const { adapter, provider } = await start(thinkAndCall, { text: 'Done.' });
    const { parts } = await adapter.call(modelRequest(), callContext().context);
    expect(parts.map(({ kind }) => kind)).toEqual(['opaque', 'tool-call']);
    const messages: Message[] = [say('Refund 7.'), { role: 'assistant', parts }, result];
    await adapter.call(modelRequest({ messages }), callContext().context);
    const [, second] = provider.requests();
    expect(second?.status).toBe(200);
    expect(second?.neutral?.messages[1]?.parts[0]).toEqual({ kind: 'other', type: 'thinking' });
  });

  it('thinking of one model → never sent to another one, which could not verify it', async () => {
    const { adapter, provider } = await start(thinkAndCall, { text: 'Done.' }, { text: 'Done.' });
    const { parts } = await adapter.call(modelRequest(), callContext().context);
    const messages: Message[] = [say('Refund 7.'), { role: 'assistant', parts }, result];
    await adapter.call(modelRequest({ messages, model: 'model-2' }), callContext().context);
    const openAi = createOpenAiProvider({ apiKey: API_KEY, baseURL: provider.openaiBaseUrl });
    await openAi.call(modelRequest({ messages }), callContext().context);
    const [, otherModel, otherProvider] = provider.requests();
    for (const request of [otherModel, otherProvider]) {
      expect(request?.status).toBe(200);
      expect(request?.body).not.toContain('so I refund it');
      expect(request?.neutral?.messages[1]?.parts).toMatchObject([{ kind: 'toolCall' }]);
    }
  });

  it('results of one turn and the next user text → one user message, results first', async () => {
    const { adapter, provider } = await start({ text: 'Done.' });
    const call = (id: string) =>
      ({ kind: 'tool-call', id, name: 'refund', arguments: {} }) as const;
    const given = (id: string, isError: boolean): Message => ({
      role: 'tool',
      parts: [{ kind: 'tool-result', id, name: 'refund', content: 'x', isError }],
    });
    const messages: Message[] = [
      say('Refund.'),
      { role: 'assistant', parts: [call('a'), call('b')] },
      given('a', false),
      given('b', true),
      say('And?'),
    ];
    await adapter.call(modelRequest({ messages }), callContext().context);
    const neutral = provider.requests()[0]?.neutral;
    expect(neutral?.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(neutral?.messages[2]?.parts).toMatchObject([
      { kind: 'toolResult', toolCallId: 'a', isError: false },
      { kind: 'toolResult', toolCallId: 'b', isError: true },
      { kind: 'text', text: 'And?' },
    ]);
  });

  it('cache marks → on the system text and, moving by itself, on the last block', async () => {
    const { adapter, provider } = await start({ text: 'Hi.' }, { text: 'Hi.' });
    await adapter.call(modelRequest(), callContext().context);
    await adapter.call(modelRequest({ system: '' }), callContext().context);
    const mark = { type: 'ephemeral' };
    const [withSystem, without] = provider.requests().map(({ neutral }) => neutral?.raw);
    expect(withSystem).toMatchObject({ cache_control: mark, system: [{ cache_control: mark }] });
    expect(JSON.stringify(withSystem?.['tools'])).not.toContain('cache_control');
    expect(without).toMatchObject({ cache_control: mark, tools: [{ cache_control: mark }] });
    expect(without).not.toHaveProperty('system');
  });

  it('the second turn → what the first one sent comes from the cache', async () => {
    const { adapter } = await start({ text: 'Which one?' }, { text: 'Done.' });
    const first = await adapter.call(modelRequest(), callContext().context);
    const messages: Message[] = [
      ...modelRequest().messages,
      { role: 'assistant', parts: first.parts },
      say('Number 7.'),
    ];
    const second = await adapter.call(modelRequest({ messages }), callContext().context);
    expect(first.usage.cachedInputTokens).toBe(0);
    expect(second.usage.cachedInputTokens).toBe(first.usage.inputTokens);
  });

  it('tokens written to the cache → part of the input, and counted apart', async () => {
    const usage = { inputTokens: 10, cacheReadTokens: 20, cacheWriteTokens: 30, outputTokens: 5 };
    const { adapter } = await start({ text: 'Hi.', usage });
    const answer = await adapter.call(modelRequest(), callContext().context);
    expect(answer.usage).toEqual({
      inputTokens: 60,
      cachedInputTokens: 20,
      cacheWriteInputTokens: 30,
      outputTokens: 5,
    });
  });

  it('arguments of another provider that are no object → wrapped, Anthropic takes nothing else', async () => {
    const { adapter, provider } = await start({ text: 'Hi.' });
    const call = { kind: 'tool-call', id: 'toolu_1', name: 'refund', arguments: [7] } as const;
    const messages: Message[] = [say('Refund.'), { role: 'assistant', parts: [call] }, result];
    await adapter.call(modelRequest({ messages }), callContext().context);
    const sent = provider.requests()[0]?.neutral?.messages[1]?.parts;
    expect(sent).toMatchObject([{ kind: 'toolCall', arguments: { value: [7] } }]);
  });
});
