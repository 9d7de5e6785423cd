// The model provider's answers seen by the real SDKs of Anthropic and OpenAI, streaming and not.
import Anthropic from '@anthropic-ai/sdk';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type OpenAI from 'openai';
import { startModelProvider } from '../../devstack/receivers/model-provider.ts';
import type { ModelProvider } from '../../devstack/receivers/model-provider.ts';
import {
  lastUserText,
  scriptedReplies,
  toolResults,
} from '../../devstack/receivers/model-script.ts';
import type { ModelScript, NeutralRequest } from '../../devstack/receivers/model-script.ts';
import {
  anthropicAt,
  forAnthropic,
  forOpenai,
  inputSchema,
  openaiAt,
  twoCalls,
} from './receivers-sdk-support.ts';
import { createScratch } from './receivers-support.ts';
import type { Scratch } from './receivers-support.ts';

let scratch: Scratch;
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.cleanUp());

async function open(script: ModelScript): Promise<ModelProvider> {
  return scratch.closing(await startModelProvider({ script }));
}

describe('Anthropic SDK', () => {
  it('text and two tool calls, not streaming → the whole message, usage, served model, one wire request', async () => {
    const provider = await open(() => twoCalls);
    const message = await anthropicAt(provider).messages.create(forAnthropic());
    expect(message).toMatchObject({
      ...{ type: 'message', role: 'assistant', model: 'served-model', stop_reason: 'tool_use' },
      content: [
        { type: 'text', text: twoCalls.text },
        {
          type: 'tool_use',
          id: 'call_1',
          name: 'weather',
          input: twoCalls.toolCalls?.[0]?.arguments,
        },
        { type: 'tool_use', id: 'call_2', name: 'weather', input: { city: 'Malmö' } },
      ],
      usage: { input_tokens: 100, cache_read_input_tokens: 30, output_tokens: 20 },
    });
    expect(provider.requests()).toMatchObject([{ path: '/v1/messages', status: 200 }]);
  });

  it('the same, streaming → the same final message, from the documented sequence of events', async () => {
    const provider = await open(() => ({ ...twoCalls, thinking: 'Hm, two cities are asked for.' }));
    const client = anthropicAt(provider);
    const whole = await client.messages.create(forAnthropic());
    const types: string[] = [];
    const stream = client.messages.stream(forAnthropic());
    for await (const event of stream) if (event.type !== types.at(-1)) types.push(event.type);
    const { id: _, ...streamed } = await stream.finalMessage();
    const { id: __, ...expected } = whole;
    expect(streamed).toMatchObject(expected);
    const block = ['content_block_start', 'content_block_delta', 'content_block_stop'];
    expect(types).toEqual([
      'message_start',
      ...[...block, ...block, ...block, ...block],
      'message_delta',
      'message_stop',
    ]);
  });

  it('what the script sees → system, messages, tools and results in the neutral form', async () => {
    const seen: NeutralRequest[] = [];
    const provider = await open((request) => {
      seen.push(request);
      return toolResults(request).length === 0 ? twoCalls : { text: 'Rain.' };
    });
    const client = anthropicAt(provider);
    const first = await client.messages.create(forAnthropic());
    const results: Anthropic.ToolResultBlockParam[] = [
      { type: 'tool_result', tool_use_id: 'call_1', content: 'rain' },
      { type: 'tool_result', tool_use_id: 'call_2', content: 'no such city', is_error: true },
    ];
    const { messages, ...rest } = forAnthropic();
    const second = await client.messages.create({
      ...rest,
      messages: [
        ...messages,
        { role: 'assistant', content: first.content },
        { role: 'user', content: results },
      ],
    });
    expect(second.content).toMatchObject([{ type: 'text', text: 'Rain.' }]);
    expect(second.stop_reason).toBe('end_turn');
    const request = seen[1]!;
    expect(request).toMatchObject({
      ...{ provider: 'anthropic', model: 'claude-test', system: 'Be brief.', stream: false },
      tools: [{ name: 'weather', description: 'Weather of a city.', inputSchema }],
      messages: [
        { role: 'user', parts: [{ kind: 'text', text: 'Weather?' }] },
        {
          role: 'assistant',
          parts: [{ kind: 'text' }, { kind: 'toolCall', id: 'call_1' }, { kind: 'toolCall' }],
        },
        { role: 'user', parts: [{ kind: 'toolResult' }, { kind: 'toolResult', isError: true }] },
      ],
    });
    expect(lastUserText(request)).toBe('Weather?');
    expect(toolResults(request)).toMatchObject([
      { toolCallId: 'call_1', name: 'weather', text: 'rain', isError: false },
      { toolCallId: 'call_2', arguments: { city: 'Malmö' }, isError: true },
    ]);
  });

  it('a tool call without its result → 400 as the real API says it, the script is not asked', async () => {
    const provider = await open(scriptedReplies([]));
    const messages: Anthropic.MessageParam[] = [
      ...forAnthropic().messages,
      {
        role: 'assistant',
        content: [{ type: 'tool_use', id: 'call_9', name: 'weather', input: {} }],
      },
      { role: 'user', content: 'Well?' },
    ];
    const sent = anthropicAt(provider).messages.create({ ...forAnthropic(), messages });
    await expect(sent).rejects.toThrow(Anthropic.BadRequestError);
    await expect(sent).rejects.toThrow(/`tool_use` ids were found without `tool_result`[^]*call_9/);
  });

  it('a thinking block comes back → accepted verbatim, refused when its text was changed', async () => {
    const provider = await open(() => ({ thinking: 'Hm.', text: 'Rain.' }));
    const client = anthropicAt(provider);
    const { content } = await client.messages.create(forAnthropic());
    const send = (said: Anthropic.ContentBlockParam[]): Promise<unknown> => {
      const turns: Anthropic.MessageParam[] = [
        { role: 'assistant', content: said },
        { role: 'user', content: 'And?' },
      ];
      return client.messages.create({
        ...forAnthropic(),
        messages: [...forAnthropic().messages, ...turns],
      });
    };
    await expect(send(content)).resolves.toMatchObject({ type: 'message' });
    const changed = content.map((b) => (b.type === 'thinking' ? { ...b, thinking: 'Ha.' } : b));
    await expect(send(changed)).rejects.toThrow('Invalid `signature` in `thinking` block');
  });

  it('a prompt grows by a turn → the old part is read from the cache; a changed system prompt misses', async () => {
    const provider = await open(() => ({ text: 'Rain.' }));
    const client = anthropicAt(provider);
    const { messages } = forAnthropic();
    const grown: Anthropic.MessageParam[] = [
      ...messages,
      { role: 'assistant', content: 'Rain.' },
      { role: 'user', content: 'And tomorrow?' },
    ];
    const first = (await client.messages.create(forAnthropic())).usage;
    const second = (await client.messages.create({ ...forAnthropic(), messages: grown })).usage;
    const other = { ...forAnthropic(), messages: grown, system: 'Be long.' };
    const third = (await client.messages.create(other)).usage;
    expect(first.cache_read_input_tokens).toBe(0);
    expect(first.input_tokens).toBeGreaterThan(20);
    expect(second.cache_read_input_tokens).toBe(first.input_tokens);
    expect(second.input_tokens).toBeGreaterThan(0);
    expect(third.cache_read_input_tokens).toBeLessThan(first.input_tokens);
  });
});

describe('OpenAI SDK', () => {
  it('text and two tool calls, not streaming → the whole completion, usage, served model', async () => {
    const provider = await open(() => twoCalls);
    const completion = await openaiAt(provider).chat.completions.create(forOpenai());
    expect(completion).toMatchObject({
      ...{ object: 'chat.completion', model: 'served-model' },
      choices: [
        {
          finish_reason: 'tool_calls',
          message: {
            ...{ role: 'assistant', content: twoCalls.text },
            tool_calls: [
              { id: 'call_1', type: 'function', function: { name: 'weather' } },
              { id: 'call_2', type: 'function', function: { arguments: '{"city":"Malmö"}' } },
            ],
          },
        },
      ],
      usage: {
        ...{ prompt_tokens: 130, completion_tokens: 20, total_tokens: 150 },
        prompt_tokens_details: { cached_tokens: 30 },
      },
    });
  });

  it('the same, streaming → the same final completion; usage only when asked for', async () => {
    const provider = await open(() => twoCalls);
    const client = openaiAt(provider);
    const stream = client.chat.completions.stream({
      ...forOpenai(),
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const streamed = await stream.finalChatCompletion();
    const whole = await client.chat.completions.create(forOpenai());
    expect(streamed.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
    expect(streamed.choices[0]?.message.tool_calls).toMatchObject(
      whole.choices[0]?.message.tool_calls ?? [],
    );
    expect(streamed.choices[0]?.finish_reason).toBe('tool_calls');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    const plain = await client.chat.completions.create({ ...forOpenai(), stream: true });
    for await (const chunk of plain) expect(chunk.usage).toBeUndefined();
  });

  it('what the script sees → the neutral form that Anthropic’s request gives, too', async () => {
    const seen: NeutralRequest[] = [];
    const provider = await open((request) => {
      seen.push(request);
      return toolResults(request).length === 0 ? twoCalls : { text: 'Rain.' };
    });
    const client = openaiAt(provider);
    const first = await client.chat.completions.create(forOpenai());
    const second = await client.chat.completions.create({
      ...forOpenai(),
      messages: [
        ...forOpenai().messages,
        first.choices[0]!.message,
        { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
        { role: 'tool', tool_call_id: 'call_2', content: 'no such city' },
      ],
    });
    expect(second.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: 'Rain.' },
    });
    expect(seen[1]).toMatchObject({
      ...{ provider: 'openai', model: 'gpt-test', system: 'Be brief.' },
      tools: [{ name: 'weather', description: 'Weather of a city.', inputSchema }],
      messages: [
        { role: 'user', parts: [{ kind: 'text', text: 'Weather?' }] },
        {
          role: 'assistant',
          parts: [{ kind: 'text' }, { kind: 'toolCall', id: 'call_1' }, { kind: 'toolCall' }],
        },
        { role: 'user', parts: [{ kind: 'toolResult', text: 'rain' }, { kind: 'toolResult' }] },
      ],
    });
  });

  it('arguments that do not parse → they reach the client as they are', async () => {
    const provider = await open(() => ({
      toolCalls: [{ name: 'weather', arguments: '{"city": ' }],
    }));
    const completion = await openaiAt(provider).chat.completions.create(forOpenai());
    const [call] = completion.choices[0]?.message.tool_calls ?? [];
    expect(call).toMatchObject({
      id: expect.stringMatching(/^call_/),
      function: { arguments: '{"city": ' },
    });
  });

  it('a result that answers no call → 400 as the real API says it', async () => {
    const provider = await open(scriptedReplies([]));
    const tool = { role: 'tool' as const, tool_call_id: 'call_9', content: 'x' };
    const messages = [...forOpenai().messages, tool];
    const sent = openaiAt(provider).chat.completions.create({ ...forOpenai(), messages });
    await expect(sent).rejects.toThrow(
      /must be a response to a preceding message with 'tool_calls'/,
    );
  });
});
