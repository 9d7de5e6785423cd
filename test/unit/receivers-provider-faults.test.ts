// The model provider's faults, scripts and wire log, seen through the real SDKs.
import Anthropic from '@anthropic-ai/sdk';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import OpenAI from 'openai';
import { startModelProvider } from '../../devstack/receivers/model-provider.ts';
import type { ModelProvider } from '../../devstack/receivers/model-provider.ts';
import {
  cut,
  failWith,
  hang,
  reset,
  scriptedReplies,
} from '../../devstack/receivers/model-script.ts';
import type { ModelScript } from '../../devstack/receivers/model-script.ts';
import { readReceipts } from '../../devstack/receivers/receipts-log.ts';
import {
  anthropicAt,
  forAnthropic,
  forOpenai,
  openaiAt,
  twoCalls,
} from './receivers-sdk-support.ts';
import { createScratch, until } from './receivers-support.ts';
import type { Scratch } from './receivers-support.ts';

let scratch: Scratch;
beforeEach(() => void (scratch = createScratch()));
afterEach(() => scratch.cleanUp());

async function open(script: ModelScript, logFile?: string): Promise<ModelProvider> {
  return scratch.closing(await startModelProvider({ script, ...(logFile && { logFile }) }));
}

// One table for both providers: the same fault, each SDK's own error.
type Call = (provider: ModelProvider, apiKey?: string, stream?: boolean) => Promise<unknown>;
const throughAnthropic: Call = async (provider, apiKey, stream = false) => {
  const { messages } = anthropicAt(provider, apiKey);
  return stream ? messages.stream(forAnthropic()).finalMessage() : messages.create(forAnthropic());
};
const throughOpenai: Call = async (provider, apiKey, stream = false) => {
  const { completions } = openaiAt(provider, apiKey).chat;
  return stream
    ? completions.stream(forOpenai()).finalChatCompletion()
    : completions.create(forOpenai());
};
// Whatever error class the SDK throws: each test looks at its own fields.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
async function failureOf(call: Promise<unknown>): Promise<any> {
  return call.then(
    () => expect('an answer').toBe('a failure'),
    (error: unknown) => error,
  );
}

describe.each([
  ['Anthropic', throughAnthropic, Anthropic] as const,
  ['OpenAI', throughOpenai, OpenAI] as const,
])('faults through the %s SDK', (name, call, sdk) => {
  it.each([false, true])(
    'a wrong key, streaming %s → AuthenticationError, the script is not asked',
    async (stream) => {
      const script = scriptedReplies([]);
      const provider = await open(script);
      const error = await failureOf(call(provider, 'wrong-key', stream));
      expect(error).toBeInstanceOf(sdk.AuthenticationError);
      expect(error.message).toMatch(
        name === 'Anthropic' ? /invalid x-api-key/ : /Incorrect API key provided: wrong\*/,
      );
      expect(provider.requests()).toMatchObject([{ status: 401 }]);
      script.assertComplete();
    },
  );

  it.each([false, true])(
    '429, streaming %s → RateLimitError with retry-after and exhausted limits',
    async (stream) => {
      const provider = await open(() => failWith(429, { retryAfterMs: 7_123 }));
      const error = await failureOf(call(provider, 'test', stream));
      expect(error).toBeInstanceOf(sdk.RateLimitError);
      expect(error.headers.get('retry-after')).toBe('8');
      expect(error.headers.get('retry-after-ms')).toBe('7123');
      const remaining =
        name === 'Anthropic'
          ? 'anthropic-ratelimit-requests-remaining'
          : 'x-ratelimit-remaining-requests';
      expect(error.headers.get(remaining)).toBe('0');
      expect(error.requestID).toMatch(/^req_/);
      expect(provider.requests()).toHaveLength(1);
    },
  );

  it('529, 500, 400 → the SDK’s classes for them', async () => {
    const provider = await open(
      scriptedReplies([failWith(529), failWith(500), failWith(400, { message: 'too long' })]),
    );
    const overloaded = await failureOf(call(provider));
    expect(overloaded).toBeInstanceOf(sdk.InternalServerError);
    expect(overloaded.status).toBe(529);
    if (name === 'Anthropic') expect(overloaded.error.error.type).toBe('overloaded_error');
    expect(await failureOf(call(provider))).toMatchObject({ status: 500 });
    const bad = await failureOf(call(provider));
    expect(bad).toBeInstanceOf(sdk.BadRequestError);
    expect(bad.message).toContain('too long');
  });

  it('reset → a connection error with ECONNRESET', async () => {
    const provider = await open(() => reset());
    const error = await failureOf(call(provider));
    expect(error).toBeInstanceOf(sdk.APIConnectionError);
    expect(error.cause.cause.code).toBe('ECONNRESET');
    expect(provider.requests()[0]?.abortedAtMs).toBeUndefined();
  });

  it.each([false, true])('cut in the middle, streaming %s → terminated', async (stream) => {
    const provider = await open(() => cut(twoCalls));
    const error = await failureOf(call(provider, 'test', stream));
    expect(String(error.message) + String(error.cause?.message)).toContain('terminated');
    expect(provider.requests()[0]).toMatchObject({ status: 200 });
    expect(provider.requests()[0]?.answeredAtMs).toBeUndefined();
  });

  it('an error event in the stream → the SDK’s APIError, after the stream had begun', async () => {
    const provider = await open(() => cut(twoCalls, 'error-event'));
    const error = await failureOf(call(provider, 'test', true));
    expect(error).toBeInstanceOf(sdk.APIError);
    expect(JSON.stringify(error.error)).toMatch(/overloaded_error|server_error/);
  });
});

describe('faults that never answer', () => {
  it.each([
    ['hang', hang(), false],
    ['stalled stream', cut(twoCalls, 'stall'), true],
    ['stalled body', cut(twoCalls, 'stall'), false],
    ['long delay', { text: 'late', delayMs: 60_000 }, false],
    ['slow stream', { ...twoCalls, chunkDelayMs: 60_000 }, true],
  ])('%s, and the client aborts → the wire log says when it went', async (_, answer, stream) => {
    const provider = await open(() => answer);
    const leaving = new AbortController();
    const body = { ...forAnthropic(), stream };
    const sent = failureOf(
      anthropicAt(provider)
        .messages.create(body, { signal: leaving.signal })
        .then(async (message) => {
          if (Symbol.asyncIterator in message) for await (const _ of message);
          throw new Error('ended');
        }),
    );
    await until(() => provider.requests()[0]?.neutral !== undefined);
    leaving.abort();
    await sent;
    await until(() => provider.requests()[0]?.abortedAtMs !== undefined);
    expect(provider.requests()[0]?.answeredAtMs).toBeUndefined();
  });
});

describe('scripts', () => {
  it('replies in order, functions among them → used up; one request more gets a 500 that says so', async () => {
    const script = scriptedReplies([{ text: 'one' }, (_, index) => ({ text: `index ${index}` })]);
    const provider = await open(script);
    const client = anthropicAt(provider);
    expect(() => script.assertComplete()).toThrow(
      'The script has 2 replies and only 0 were asked for.',
    );
    for (const text of ['one', 'index 1']) {
      expect((await client.messages.create(forAnthropic())).content).toMatchObject([{ text }]);
    }
    script.assertComplete();
    const error = await failureOf(client.messages.create(forAnthropic('One more?')));
    expect(error).toMatchObject({ status: 500 });
    expect(error.message).toMatch(
      /The script has 2 replies and this is one request more[^]*One more\?/,
    );
    expect(() => script.assertComplete()).toThrow('one request more');
  });

  it('a script throws → 500 with its message', async () => {
    const provider = await open(() => {
      throw new Error('no idea');
    });
    const error = await failureOf(throughOpenai(provider));
    expect(error.message).toContain('The script failed: no idea');
  });
});

describe('wire log', () => {
  it('a log file → each wire request with its time, 401 too; the key is not in it', async () => {
    const logFile = scratch.logFile();
    const provider = await open(() => ({ text: 'hi' }), logFile);
    await throughAnthropic(provider, 'sk-secret');
    await failureOf(throughOpenai(provider, 'wrong-secret'));
    const { requests } = readReceipts(logFile);
    expect(requests.map(({ path }) => path)).toEqual(['/v1/messages', '/v1/chat/completions']);
    expect(requests[0]?.atMs).toBeLessThanOrEqual(requests[1]?.atMs ?? 0);
    expect(JSON.stringify([requests, provider.requests()])).not.toMatch(/sk-secret|wrong-secret/);
  });

  it('no key, no version, an unknown path, a body that is not JSON → the provider’s answers', async () => {
    const provider = await open(() => ({ text: 'hi' }));
    const send = async (
      path: string,
      headers: Record<string, string>,
      body = '{}',
    ): Promise<[number, string]> => {
      const response = await fetch(`${provider.url}${path}`, { method: 'POST', headers, body });
      return [response.status, await response.text()];
    };
    expect(await send('/v1/messages', {})).toEqual([
      401,
      expect.stringContaining('x-api-key header is required'),
    ]);
    const key = { 'x-api-key': 'test' };
    expect(await send('/v1/messages', key)).toEqual([
      400,
      expect.stringContaining('anthropic-version'),
    ]);
    const versioned = { ...key, 'anthropic-version': '2023-06-01' };
    expect(await send('/v1/messages', versioned, '{')).toEqual([
      400,
      expect.stringContaining('not valid JSON'),
    ]);
    expect(await send('/v1/messages', versioned)).toEqual([400, expect.stringContaining('model')]);
    expect(await send('/v1/other', key)).toEqual([404, expect.stringContaining('No model API')]);
  });
});
