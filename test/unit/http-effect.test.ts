// httpEffect against a real local server: which status means what, and what exactly is sent.
import { afterEach, describe, expect, it } from '@jest/globals';
import { AmbiguousAnswer, httpEffect, UnreadAnswer } from '../../domain/schemas/http-effect.ts';
import { isRefusal } from '../../domain/schemas/outcomes.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import { type LocalServer, serve } from './local-server.ts';
import { guarantee } from '../guarantee.ts';

const open: LocalServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

async function answering({ status, body = '{}', headers = {} }: Answer): Promise<LocalServer> {
  const server = await serve((_, response) => response.writeHead(status, headers).end(body));
  open.push(server);
  return server;
}

const context: ToolContext = {
  fetch: (input, init) => fetch(input, { ...init, redirect: 'error' }),
  read: fetch,
  transaction: { query: () => Promise.reject(new Error('no transaction here')) },
  idempotencyKey: '6589092c-a9f3-8ddc-aa8f-2487a2eb8376',
  effect: 'ef_1',
  runKey: 'run_1',
  tenant: 't',
  signal: new AbortController().signal,
};

/** What the effect throws, or a failure of the test. */
async function thrownBy(answer: Answer, refusals?: readonly number[]): Promise<unknown> {
  const { url } = await answering(answer);
  const run = httpEffect({
    request: () => ({ url }),
    response: (body) => body,
    ...(refusals ? { refusals } : {}),
  });
  return run({}, context).then(
    (output) => {
      throw new Error(`applied, with ${JSON.stringify(output)}`);
    },
    (error: unknown) => error,
  );
}

describe('what is sent', () => {
  it('nothing said → POST, JSON, and the idempotency key', async () => {
    const server = await answering({ status: 200 });
    const run = httpEffect({
      request: ({ cents }: { cents: number }) => ({
        url: `${server.url}/refunds`,
        body: { cents },
      }),
      response: () => 'done',
    });
    await expect(run({ cents: 5 }, context)).resolves.toBe('done');
    const [request] = server.arrived;
    expect(request).toMatchObject({
      method: 'POST',
      path: '/refunds',
      headers: { 'content-type': 'application/json', 'idempotency-key': context.idempotencyKey },
    });
    expect(request?.body.toString()).toBe('{"cents":5}');
  });

  it('headers and method of its own → those, the key included', async () => {
    const server = await answering({ status: 200 });
    const run = httpEffect({
      request: () => ({
        url: server.url,
        method: 'PUT',
        headers: { 'Idempotency-Key': 'mine', 'Content-Type': 'text/plain' },
      }),
      response: () => 'done',
    });
    await run({}, context);
    expect(server.arrived[0]).toMatchObject({
      method: 'PUT',
      headers: { 'idempotency-key': 'mine', 'content-type': 'text/plain' },
    });
    expect(server.arrived[0]?.body).toHaveLength(0);
  });

  it('an empty value → that header is left away', async () => {
    const server = await answering({ status: 200 });
    const headers = { 'Idempotency-Key': '' };
    await httpEffect({ request: () => ({ url: server.url, headers }), response: () => 1 })(
      {},
      context,
    );
    expect(server.arrived[0]?.headers).not.toHaveProperty('idempotency-key');
  });
});

describe('what an answer means', () => {
  it.each([
    [200, '{"id":"r1"}', { id: 'r1' }],
    [201, '{"id":"r1"}', { id: 'r1' }],
    [202, '[1]', [1]],
    [204, '', null],
  ])('%d → applied, with the body', async (status, body, output) => {
    const { url } = await answering(status === 204 ? { status, body: '' } : { status, body });
    const run = httpEffect({ request: () => ({ url }), response: (seen) => seen });
    await expect(run({}, context)).resolves.toEqual(output);
  });

  it.each([400, 401, 402, 403, 404, 405, 410, 415])(
    '%d → refused: documented as not executed',
    async (status) => {
      const error = await thrownBy({ status, body: 'no' });
      expect(isRefusal(error)).toBe(true);
      expect(error).toMatchObject({ code: `http_${status}`, message: 'no' });
    },
  );

  it.each([408, 409, 412, 422, 425, 429, 500, 502, 503, 504])(
    '%d → ambiguous: it proves nothing',
    async (status) => {
      const error = await thrownBy({ status, body: 'hm' });
      expect(error).toBeInstanceOf(AmbiguousAnswer);
      expect(error).toMatchObject({
        status,
        message: `HTTP ${status} leaves the outcome open: hm`,
        needsHuman: status === 422,
      });
    },
  );

  it.each([301, 302, 303, 307, 308])('%d → never followed, never a no', async (status) => {
    const elsewhere = await answering({ status: 200 });
    const error = await thrownBy({ status, headers: { location: elsewhere.url } });
    expect(isRefusal(error)).toBe(false);
    expect(error).toMatchObject({ name: 'TypeError' });
    expect(elsewhere.arrived).toEqual([]);
  });

  guarantee('law-06-ambiguous', 'a 2xx that is no JSON → neither yes nor no', async () => {
    const error = await thrownBy({ status: 200, body: '<html>' });
    expect(error).toBeInstanceOf(AmbiguousAnswer);
    expect(error).toMatchObject({ status: 200, needsHuman: false });
  });

  it('refusals of its own → those, and only those', async () => {
    expect(await thrownBy({ status: 429 }, [429])).toMatchObject({ code: 'http_429' });
    expect(await thrownBy({ status: 400 }, [429])).toBeInstanceOf(AmbiguousAnswer);
  });

  it.each([
    ['{"code":"card_declined","message":"no money"}', 'card_declined', 'no money'],
    ['{"code":"card_declined"}', 'card_declined', 'card_declined'],
    ['{"error":{"code":"card_declined","message":"no money"}}', 'card_declined', 'no money'],
    ['{"error":"card_declined"}', 'http_402', '{"error":"card_declined"}'],
    ['{"code":7}', 'http_402', '{"code":7}'],
    ['null', 'http_402', 'null'],
    ['', 'http_402', 'HTTP 402'],
    ['x'.repeat(500), 'http_402', 'x'.repeat(200)],
  ])('the refusal %j → code %s', async (body, code, message) => {
    expect(await thrownBy({ status: 402, body })).toMatchObject({ code, message });
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new TypeError('no transferId');
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('no transferId'))],
  ])(
    'a 2xx that `response` cannot read (it %s) → the body and the cause',
    async (_name, response) => {
      const { url } = await answering({ status: 200, body: '{"odd":true}' });
      const error = await httpEffect({ request: () => ({ url }), response })({}, context).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(UnreadAnswer);
      expect(error).toMatchObject({ body: { odd: true }, cause: { message: 'no transferId' } });
    },
  );

  it('integers beyond 2^53 → their digits as a string, all others as numbers', async () => {
    const body = '{"id":9007199254740993,"next":[-9007199254740993],"cents":1200,"rate":0.1}';
    const { url } = await answering({ status: 200, body });
    const run = httpEffect({ request: () => ({ url }), response: (seen) => seen });
    expect(await run({}, context)).toEqual({
      id: '9007199254740993',
      next: ['-9007199254740993'],
      cents: 1200,
      rate: 0.1,
    });
  });

  it('a 202 whose reference cannot be read → accepted all the same, without a name', async () => {
    const { url } = await answering({ status: 202, body: 'queued' });
    const run = httpEffect({
      request: () => ({ url }),
      response: () => null,
      accepted: (body) => (body as { jobId: string }).jobId,
    });
    const error = await run({}, context).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ isPawlPending: true, reference: null });
  });
});
