// What both provider adapters must do, over a real local server; each test adds its own wire format.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { ModelProvider as Adapter } from '../../activities/models/model-provider.ts';
import type { ModelCallContext, ProviderAccount } from '../../activities/models/model-provider.ts';
import {
  cut,
  failWith,
  hang,
  type ModelAnswer,
  type ModelProvider,
  type ModelScript,
  reset,
  scriptedReplies,
  type ScriptedReplies,
  startModelProvider,
  toolResults,
} from '../../devstack/receivers/index.ts';
import type { Message, ModelRequest } from '../../domain/rules/transcript.ts';

export const API_KEY = 'sk-test-1234567890';

export const refundTool = {
  name: 'refund',
  description: 'Refund an order.',
  inputSchema: { type: 'object', properties: { orderId: { type: 'string' } } },
} as const;

export const say = (text: string): Message => ({ role: 'user', parts: [{ kind: 'text', text }] });

export function modelRequest(more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    model: 'model-1',
    system: 'You refund orders.',
    messages: [say('Refund order 7.')],
    tools: [refundTool],
    maxOutputTokens: 500,
    ...more,
  };
}

/** A context that counts chunks. */
export function callContext(more: Partial<ModelCallContext> = {}) {
  const counted = { chunks: 0 };
  const context: ModelCallContext = {
    signal: new AbortController().signal,
    onChunk: () => (counted.chunks += 1),
    idempotencyKey: 'key-1',
    ...more,
  };
  return { context, counted };
}

/** A provider that says the replies in order. */
export async function startScripted(
  replies: readonly (ModelAnswer | ModelScript)[],
): Promise<{ provider: ModelProvider; script: ScriptedReplies; bodies(): string[] }> {
  const script = scriptedReplies(replies);
  const provider = await startModelProvider({ script });
  return { provider, script, bodies: () => provider.requests().map(({ body }) => body) };
}

export interface AdapterUnderTest {
  readonly name: 'anthropic' | 'openai';
  create(account: ProviderAccount): Adapter;
  baseUrl(provider: ModelProvider): string;
  createWithout(packageError: Error): Adapter;
}

type Scripted = Awaited<ReturnType<typeof startScripted>>;

/** Registers the shared cases; call it inside a `describe`. */
export function describeAdapter(under: AdapterUnderTest): {
  start(...replies: (ModelAnswer | ModelScript)[]): Promise<Scripted & { adapter: Adapter }>;
} {
  const closers: Array<() => Promise<void>> = [];
  let apiKey = API_KEY;
  beforeEach(() => void (apiKey = API_KEY));
  afterEach(async () => {
    await Promise.all(closers.splice(0).map((close) => close()));
  });

  const start = async (...replies: (ModelAnswer | ModelScript)[]) => {
    const scripted = await startScripted(replies);
    closers.push(() => scripted.provider.close());
    const baseURL = under.baseUrl(scripted.provider);
    return { ...scripted, adapter: under.create({ apiKey, baseURL }) };
  };

  const failureOf = async (adapter: Adapter, context = callContext().context) => {
    const error: unknown = await adapter.call(modelRequest(), context).then(
      () => new Error('the call should have failed'),
      (failure: unknown) => failure,
    );
    expect(error).toMatchObject({ name: 'ModelCallError' });
    return (error as { facts: Record<string, unknown> }).facts;
  };

  it('a text answer → parts, usage, served model and request id, from one streamed request', async () => {
    const usage = { inputTokens: 100, cacheReadTokens: 40, outputTokens: 12 };
    const { adapter, provider } = await start({ text: 'Which order do you mean?', usage });
    const { context, counted } = callContext();
    const answer = await adapter.call(modelRequest(), context);
    expect(answer).toMatchObject({
      parts: [{ kind: 'text', text: 'Which order do you mean?' }],
      usage: { inputTokens: 140, cachedInputTokens: 40, outputTokens: 12 },
      stopReason: 'end',
      servedModel: 'model-1',
    });
    expect(answer.requestId).toMatch(/^req_/);
    expect(counted.chunks).toBeGreaterThan(2);
    const [request, ...more] = provider.requests();
    expect(more).toEqual([]);
    expect(request?.idempotencyKey).toBe('key-1');
    expect(request?.neutral).toMatchObject({
      model: 'model-1',
      system: 'You refund orders.',
      stream: true,
      tools: [{ name: 'refund', description: 'Refund an order.' }],
    });
  });

  it('two tool calls and their results → both directions, in order, accepted by the provider', async () => {
    const { adapter, provider } = await start(
      {
        text: 'I refund both.',
        toolCalls: [
          { name: 'refund', arguments: { orderId: '7' } },
          { name: 'refund', arguments: {} },
        ],
      },
      { text: 'Done.' },
    );
    const first = await adapter.call(modelRequest(), callContext().context);
    expect(first.stopReason).toBe('tool-calls');
    const calls = first.parts.filter((part) => part.kind === 'tool-call');
    expect(calls.map((call) => call.arguments)).toEqual([{ orderId: '7' }, {}]);
    const results: Message[] = calls.map(({ id, name }, index) => ({
      role: 'tool',
      parts: [{ kind: 'tool-result', id, name, content: { ok: index }, isError: false }],
    }));
    const messages = [
      say('Refund.'),
      { role: 'assistant', parts: first.parts } as const,
      ...results,
    ];
    const second = await adapter.call(modelRequest({ messages }), callContext().context);
    expect(second).toMatchObject({ parts: [{ kind: 'text', text: 'Done.' }], stopReason: 'end' });
    const neutral = provider.requests()[1]?.neutral;
    expect(neutral && toolResults(neutral).map(({ text }) => text)).toEqual([
      '{"ok":0}',
      '{"ok":1}',
    ]);
  });

  it('arguments that are not JSON → malformed, and the provider accepts the call back', async () => {
    const { adapter, provider } = await start(
      { toolCalls: [{ name: 'refund', arguments: '{"orderId": "7' }] },
      { text: 'Sorry.' },
    );
    const { parts } = await adapter.call(modelRequest(), callContext().context);
    expect(parts).toMatchObject([
      { kind: 'tool-call', name: 'refund', arguments: null, malformed: '{"orderId": "7' },
    ]);
    const id = parts[0]?.kind === 'tool-call' ? parts[0].id : '';
    const result = {
      kind: 'tool-result',
      id,
      name: 'refund',
      content: 'not JSON',
      isError: true,
    } as const;
    const messages: Message[] = [
      say('Refund.'),
      { role: 'assistant', parts },
      { role: 'tool', parts: [result] },
    ];
    await adapter.call(modelRequest({ messages }), callContext().context);
    expect(JSON.stringify(provider.requests()[1]?.neutral)).toContain('orderId');
    expect(provider.requests()[1]?.status).toBe(200);
  });

  it('the next turn → begins with the same bytes; key order of arguments and retries change nothing', async () => {
    const done = { text: 'Done.' };
    const { adapter, bodies } = await start(done, done, done, done);
    const turn = (args: { a: number; b: number }, ...more: Message[]): ModelRequest => {
      const call = { kind: 'tool-call', id: 'call_1', name: 'refund', arguments: args } as const;
      const result = { kind: 'tool-result', id: 'call_1', name: 'refund', isError: false } as const;
      const messages: Message[] = [
        say('Refund.'),
        { role: 'assistant', parts: [call] },
        { role: 'tool', parts: [{ ...result, content: args }] },
        ...more,
      ];
      return modelRequest({ messages });
    };
    await adapter.call(turn({ a: 1, b: 2 }), callContext().context);
    await adapter.call(turn({ a: 1, b: 2 }), callContext().context);
    await adapter.call(turn({ b: 2, a: 1 }), callContext().context);
    const more: Message[] = [{ role: 'assistant', parts: [{ kind: 'text', text: 'x' }] }, say('y')];
    await adapter.call(turn({ a: 1, b: 2 }, ...more), callContext().context);
    const [first = '', again, reordered, next = ''] = bodies();
    expect(again).toBe(first);
    expect(reordered).toBe(first);
    expect(first.endsWith(']}')).toBe(true);
    expect(next.startsWith(first.slice(0, -2))).toBe(true);
  });

  it('a tool call id that not every provider takes → a short one, the same in call and result', async () => {
    const { adapter, provider } = await start({ text: 'Done.' });
    const id = 'functions.refund:0/äöü'.repeat(4);
    const messages: Message[] = [
      say('Refund.'),
      { role: 'assistant', parts: [{ kind: 'tool-call', id, name: 'refund', arguments: {} }] },
      {
        role: 'tool',
        parts: [{ kind: 'tool-result', id, name: 'refund', content: 1, isError: false }],
      },
    ];
    await adapter.call(modelRequest({ messages }), callContext().context);
    const neutral = provider.requests()[0]?.neutral;
    expect(neutral && toolResults(neutral)).toMatchObject([{ name: 'refund', text: '1' }]);
  });

  it('an answer at the output limit → max-tokens', async () => {
    const { adapter } = await start({ text: 'And then', stopReason: 'maxTokens' });
    const answer = await adapter.call(modelRequest(), callContext().context);
    expect(answer.stopReason).toBe('max-tokens');
  });

  it('a refusal → refusal', async () => {
    const { adapter } = await start({ text: 'No.', stopReason: 'refusal' });
    expect((await adapter.call(modelRequest(), callContext().context)).stopReason).toBe('refusal');
  });

  it('another model answers → it is named', async () => {
    const { adapter } = await start({ text: 'Hi.', servedModel: 'model-1-mini' });
    const answer = await adapter.call(modelRequest(), callContext().context);
    expect(answer.servedModel).toBe('model-1-mini');
  });

  it.each([400, 403, 404, 413, 429, 500, 503, 529])(
    'status %s → http facts after one request',
    async (status) => {
      const { adapter, provider } = await start(
        failWith(status, { message: `because ${API_KEY}` }),
      );
      expect(await failureOf(adapter)).toMatchObject({
        kind: 'http',
        provider: under.name,
        status,
        message: expect.stringContaining('because [key]'),
        requestId: expect.stringMatching(/^req_/),
      });
      expect(provider.requests()).toHaveLength(1);
    },
  );

  it('a wrong key → 401 facts after one request', async () => {
    apiKey = 'wrong-key';
    const { adapter, provider } = await start();
    expect(await failureOf(adapter)).toMatchObject({ kind: 'http', status: 401 });
    expect(provider.requests()).toHaveLength(1);
  });

  it('retry-after-ms → exact; retry-after → seconds; a date → from now', async () => {
    const inAMinute = (): string => new Date(Date.now() + 60_000).toUTCString();
    const { adapter } = await start(
      failWith(429, { retryAfterMs: 7_123 }),
      failWith(429, { retryAfterSeconds: 3 }),
      () => failWith(529, { headers: { 'retry-after': inAMinute() } }),
    );
    expect((await failureOf(adapter))['retryAfterMs']).toBe(7_123);
    expect((await failureOf(adapter))['retryAfterMs']).toBe(3_000);
    const fromDateMs = Number((await failureOf(adapter))['retryAfterMs']);
    expect(fromDateMs).toBeGreaterThan(50_000);
    expect(fromDateMs).toBeLessThanOrEqual(60_000);
  });

  it('a reset connection → network facts after one request', async () => {
    const { adapter, provider } = await start(reset());
    expect(await failureOf(adapter)).toMatchObject({ kind: 'network', code: 'ECONNRESET' });
    expect(provider.requests()).toHaveLength(1);
  });

  it('nobody listens → network facts with the code', async () => {
    const { adapter, provider } = await start();
    await provider.close();
    expect(await failureOf(adapter)).toMatchObject({ kind: 'network', code: 'ECONNREFUSED' });
  });

  it('an answer that breaks off → cut, never a half answer', async () => {
    const { adapter, provider } = await start(cut({ text: 'A long answer that never ends well.' }));
    expect(await failureOf(adapter)).toMatchObject({ kind: 'cut' });
    expect(provider.requests()).toHaveLength(1);
  });

  it('an error inside the stream → the http facts that it stands for', async () => {
    const { adapter } = await start(cut({ text: 'A long answer that never ends.' }, 'error-event'));
    const status = under.name === 'anthropic' ? 529 : 500;
    expect(await failureOf(adapter)).toMatchObject({ kind: 'http', status });
  });

  it.each([
    ['before the first byte', hang()],
    ['in the middle of the answer', cut({ text: 'A long answer that stalls here.' }, 'stall')],
  ])('an abort %s → aborted, and the provider sees the connection close', async (_when, reply) => {
    const { adapter, provider } = await start(reply);
    const controller = new AbortController();
    const failure = failureOf(adapter, callContext({ signal: controller.signal }).context);
    await until(() => provider.requests().length === 1);
    setTimeout(() => controller.abort(), 50);
    expect(await failure).toMatchObject({ kind: 'aborted' });
    await until(() => provider.requests()[0]?.abortedAtMs !== undefined);
    expect(provider.requests()).toHaveLength(1);
  });

  it('no first byte in time → timeout after one request', async () => {
    const { provider } = await start(hang());
    const baseURL = under.baseUrl(provider);
    const impatient = under.create({ apiKey, baseURL, timeoutMs: 100 });
    const { context } = callContext({
      fetch: patientFetch(() => provider.requests().length === 1),
    });
    expect(await failureOf(impatient, context)).toMatchObject({ kind: 'timeout' });
    expect(provider.requests()).toHaveLength(1);
  });

  it("a proxy's web page with status 200 → unparsable", async () => {
    const proxy = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Log in</h1>');
    });
    await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
    closers.push(() => new Promise((closed) => proxy.close(() => closed())));
    const { port } = proxy.address() as AddressInfo;
    const adapter = under.create({ apiKey, baseURL: `http://127.0.0.1:${port}` });
    const facts = await failureOf(adapter);
    expect(facts).toMatchObject({ kind: 'unparsable' });
    expect(facts['message']).toContain('text/html');
    proxy.closeAllConnections();
  });

  it('a fetch of our own → carries the request', async () => {
    const { adapter } = await start({ text: 'Hi.' });
    const urls: string[] = [];
    const ours: typeof fetch = (input, init) => {
      urls.push(input instanceof Request ? input.url : String(input));
      return fetch(input, init);
    };
    await adapter.call(modelRequest(), callContext({ fetch: ours }).context);
    expect(urls).toHaveLength(1);
  });

  it('the SDK is not installed → facts with the package to install', async () => {
    const packageName = under.name === 'anthropic' ? '@anthropic-ai/sdk' : 'openai';
    const missing = Object.assign(
      new Error(`Cannot find package '${packageName}' imported from x`),
      {
        code: 'ERR_MODULE_NOT_FOUND',
      },
    );
    const facts = await failureOf(under.createWithout(missing));
    expect(facts).toMatchObject({ kind: 'not-installed', packageName });
    expect(facts['message']).toContain(`npm install ${packageName}`);
  });

  it('a base URL that is none → refused at once', () => {
    expect(() => under.create({ apiKey, baseURL: 'nonsense' })).toThrow('Invalid URL');
  });

  return { start };
}

/** Jest's sandbox has an `Error` of its own, by which OpenAI's SDK tells a time-out from other failures. */
const fetchOfThisRealm: typeof fetch = async (input, init) => {
  try {
    return await fetch(input, init);
  } catch (error) {
    const { name, message } = error as Error;
    throw Object.assign(new Error(message), { name });
  }
};

/** A request that is given up only once it has arrived: on a slow machine the time may be up before. */
function patientFetch(hasArrived: () => boolean): typeof fetch {
  return (input, init) => {
    const ends = new AbortController();
    const end = (): void => void until(hasArrived).then(() => ends.abort());
    if (init?.signal?.aborted) end();
    else init?.signal?.addEventListener('abort', end, { once: true });
    return fetchOfThisRealm(input, { ...init, signal: ends.signal });
  };
}

/** Waits for a condition that a real server makes true. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}
