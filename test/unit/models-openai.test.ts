// The OpenAI adapter against a real local server: the shared cases, then what only this wire format has.
import { describe, expect, it } from '@jest/globals';
import { createAnthropicProvider } from '../../activities/models/anthropic.ts';
import { createOpenAiProvider } from '../../activities/models/openai.ts';
import { failWith } from '../../devstack/receivers/index.ts';
import { classify } from '../../domain/rules/classify.ts';
import type { Message } from '../../domain/rules/transcript.ts';
import { API_KEY, callContext, describeAdapter, modelRequest, say } from './model-calls.ts';

describe('the OpenAI adapter', () => {
  const { start } = describeAdapter({
    name: 'openai',
    create: createOpenAiProvider,
    baseUrl: (provider) => provider.openaiBaseUrl,
    createWithout: (error) =>
      createOpenAiProvider({ apiKey: API_KEY }, () => Promise.reject(error)),
  });

  it('429 insufficient_quota → facts that classify as final; rate_limit_exceeded → as a wait', async () => {
    const { adapter, provider } = await start(
      failWith(429, { code: 'insufficient_quota' }),
      failWith(429, { retryAfterMs: 2_000 }),
    );
    const call = () => adapter.call(modelRequest(), callContext().context);
    await expect(call()).rejects.toMatchObject({
      facts: { kind: 'http', status: 429, errorCode: 'insufficient_quota' },
    });
    const facts = await call().catch(
      (error: { facts: Parameters<typeof classify>[0] }) => error.facts,
    );
    expect(facts).toMatchObject({ errorCode: 'rate_limit_exceeded' });
    expect(classify(facts as Parameters<typeof classify>[0])).toMatchObject({
      type: 'Model.RateLimited',
      retryAfterMs: 2_000,
    });
    expect(provider.requests()).toHaveLength(2);
  });

  it('results of one message → a message each; an error says so in its text', async () => {
    const { adapter, provider } = await start({ text: 'Done.' });
    const call = (id: string) =>
      ({ kind: 'tool-call', id, name: 'refund', arguments: {} }) as const;
    const given = (id: string, isError: boolean) =>
      ({ kind: 'tool-result', id, name: 'refund', content: 'card declined', isError }) as const;
    const messages: Message[] = [
      say('Refund.'),
      { role: 'assistant', parts: [{ kind: 'text', text: '' }, call('a'), call('b')] },
      { role: 'tool', parts: [given('a', false), given('b', true)] },
    ];
    await adapter.call(modelRequest({ messages }), callContext().context);
    expect(provider.requests()[0]?.neutral?.raw['messages']).toEqual([
      { role: 'system', content: 'You refund orders.' },
      { role: 'user', content: 'Refund.' },
      {
        role: 'assistant',
        content: null,
        tool_calls: ['a', 'b'].map((id) => ({
          id,
          type: 'function',
          function: { name: 'refund', arguments: '{}' },
        })),
      },
      { role: 'tool', tool_call_id: 'a', content: 'card declined' },
      { role: 'tool', tool_call_id: 'b', content: 'Error: card declined' },
    ]);
  });

  it('a run that began at Anthropic → goes on here, tool calls and all', async () => {
    const { adapter, provider } = await start(
      { thinking: 'Hm.', toolCalls: [{ name: 'refund', arguments: { orderId: '7' } }] },
      { text: 'Done.' },
    );
    const anthropic = createAnthropicProvider({ apiKey: API_KEY, baseURL: provider.url });
    const { parts } = await anthropic.call(modelRequest(), callContext().context);
    const results = parts.flatMap((part) =>
      part.kind === 'tool-call'
        ? [
            {
              kind: 'tool-result',
              id: part.id,
              name: part.name,
              content: 'ok',
              isError: false,
            } as const,
          ]
        : [],
    );
    const messages: Message[] = [
      say('Refund.'),
      { role: 'assistant', parts },
      { role: 'tool', parts: results },
    ];
    const answer = await adapter.call(modelRequest({ messages }), callContext().context);
    expect(answer.parts).toEqual([{ kind: 'text', text: 'Done.' }]);
    const wire = provider.requests().map(({ path, status }) => [path, status]);
    expect(wire).toEqual([
      ['/v1/messages', 200],
      ['/v1/chat/completions', 200],
    ]);
  });
});
