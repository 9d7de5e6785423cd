// What the tests of the model provider share: both SDKs with retries off, a request for each, one reply.
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { ModelProvider } from '../../devstack/receivers/model-provider.ts';
import type { ModelReply } from '../../devstack/receivers/model-script.ts';

export const anthropicAt = ({ url }: ModelProvider, apiKey = 'test'): Anthropic =>
  new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
export const openaiAt = ({ openaiBaseUrl }: ModelProvider, apiKey = 'test'): OpenAI =>
  new OpenAI({ baseURL: openaiBaseUrl, apiKey, maxRetries: 0 });

export const inputSchema = { type: 'object' as const, properties: { city: { type: 'string' } } };
export const forAnthropic = (content = 'Weather?') => ({
  model: 'claude-test',
  max_tokens: 100,
  system: 'Be brief.',
  tools: [{ name: 'weather', description: 'Weather of a city.', input_schema: inputSchema }],
  messages: [{ role: 'user', content }] as Anthropic.MessageParam[],
});
export const forOpenai = (content = 'Weather?') => ({
  model: 'gpt-test',
  tools: [
    {
      type: 'function' as const,
      function: { name: 'weather', description: 'Weather of a city.', parameters: inputSchema },
    },
  ],
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content },
  ] as OpenAI.ChatCompletionMessageParam[],
});

export const twoCalls: ModelReply = {
  text: 'I look at both: Zürich 🌧️ and Malmö, one after the other.',
  toolCalls: [
    { id: 'call_1', name: 'weather', arguments: { city: 'Zürich', days: [1, 2, 3], unit: '°C' } },
    { id: 'call_2', name: 'weather', arguments: { city: 'Malmö' } },
  ],
  usage: { inputTokens: 100, outputTokens: 20, cacheReadTokens: 30 },
  servedModel: 'served-model',
};
