// The HTTP side of callbacks without a ledger: who is believed, what is read, which status each answer has.
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import {
  CallbackConflictError,
  type CallbackHandlerOptions,
  type CallbackMessage,
  type CallbackReport,
  createCallbackHandler,
  DatabaseUnreachableError,
  toRequestListener,
} from '../../client/index.ts';
import { createWebhookVerifier } from '../../client/webhook-signature.ts';

// The example of the Standard Webhooks specification's libraries.
const VECTOR = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: '1614265330',
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const SECRETS = ['whsec_', 'whsec_', ''].map(
  (prefix, index) => `${prefix}${Buffer.alloc(24 + index, index + 1).toString('base64')}`,
) as [string, string, string];
const [SECRET, OLD_SECRET, FORGED] = SECRETS;

interface Sent {
  readonly id?: string;
  readonly atMs?: number;
  readonly secret?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
}

/** A request as an honest receiver sends it, signed by the reference implementation. */
function signed(body: string, sent: Sent = {}): Request {
  const { id = 'msg_1', atMs = Date.now(), secret = SECRET, path = '/callbacks/payout' } = sent;
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(atMs / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(atMs), body),
    ...sent.headers,
  };
  return new Request(`http://pawl.test${path}`, { method: 'POST', headers, body });
}

const event = z.object({ key: z.string(), status: z.enum(['applied', 'rejected', 'processing']) });
const BODY = JSON.stringify({ key: 'k-1', status: 'applied' });

function open(options: Partial<CallbackHandlerOptions> = {}) {
  const stored: CallbackMessage[] = [];
  const reports: CallbackReport[] = [];
  const handler = createCallbackHandler({
    client: {
      receiveCallback: (message) => {
        stored.push(message);
        return Promise.resolve({ kind: 'accepted', effect: 'ef_1' });
      },
    },
    receivers: {
      '/callbacks/payout': {
        tool: { name: 'pay' },
        secrets: [SECRET, OLD_SECRET],
        read(body) {
          const { key, status } = event.parse(body);
          if (status === 'processing') return null;
          return { idempotencyKey: key, outcome: status === 'applied' ? 'applied' : 'refused' };
        },
      },
    },
    onAnswer: (report) => reports.push(report),
    ...options,
  });
  const send = async (request: Request) => {
    const answer = await handler(request);
    const body = (await answer.json()) as {
      kind?: string;
      error?: { code: string; message: string };
    };
    return { status: answer.status, body, headers: answer.headers };
  };
  return { handler, send, stored, reports };
}

describe('a signature', () => {
  const headersOf = (change: Record<string, string> = {}): Headers =>
    new Headers({
      'webhook-id': VECTOR.id,
      'webhook-timestamp': VECTOR.timestamp,
      'webhook-signature': VECTOR.signature,
      ...change,
    });
  const now = Number(VECTOR.timestamp) * 1_000;
  const verify = createWebhookVerifier('/x', [VECTOR.secret]);
  const bytes = Buffer.from(VECTOR.body);

  it('the vector of the reference libraries → genuine', () => {
    expect(verify(headersOf(), bytes, now)).toEqual({ kind: 'genuine', id: VECTOR.id });
  });

  it('five minutes of skew either way → genuine; a second more → refused', () => {
    for (const skewMs of [-300_000, 300_000]) {
      expect(verify(headersOf(), bytes, now + skewMs).kind).toBe('genuine');
    }
    for (const skewMs of [-301_000, 301_000]) {
      expect(verify(headersOf(), bytes, now + skewMs)).toEqual({
        kind: 'refused',
        reason: 'webhook-timestamp is not within 5 minutes of now',
      });
    }
  });

  it.each([
    ['several signatures, one of them ours', `v1,AAAA v1a,zzzz ${VECTOR.signature}`, 'genuine'],
    ['only a version that we do not know', VECTOR.signature.replace('v1,', 'v1a,'), 'refused'],
    ['without a version', VECTOR.signature.slice(3), 'refused'],
    ['cut', VECTOR.signature.slice(0, -8), 'refused'],
    ['nothing of it', 'v1,', 'refused'],
  ])('%s → as said', (_title, signature, kind) => {
    expect(verify(headersOf({ 'webhook-signature': signature }), bytes, now).kind).toBe(kind);
  });

  it('any byte of body, id or time changed → refused; signed by the reference → genuine', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.nat(),
        fc.constantFrom('body', 'id', 'timestamp'),
        (random, at, part) => {
          const body = Buffer.from(random).toString('base64');
          const signature = new Webhook(VECTOR.secret).sign(VECTOR.id, new Date(now), body);
          const given = { 'webhook-signature': signature };
          expect(verify(headersOf(given), Buffer.from(body), now).kind).toBe('genuine');
          const flipped = Buffer.from(body);
          const index = at % flipped.length;
          flipped[index] = (flipped[index] ?? 0) ^ 1;
          const change = {
            body: {},
            id: { 'webhook-id': `${VECTOR.id}x` },
            timestamp: { 'webhook-timestamp': String(Number(VECTOR.timestamp) + 1 + (at % 200)) },
          }[part];
          const seen = part === 'body' ? flipped : Buffer.from(body);
          expect(verify(headersOf({ ...given, ...change }), seen, now).kind).toBe('refused');
        },
      ),
    );
  });

  it.each([
    ['no secret', []],
    ['an empty one', ['whsec_']],
    ['too short a one', [`whsec_${Buffer.alloc(23).toString('base64')}`]],
    ['not base64', ['whsec_this is a passphrase of some length']],
  ])('%s → refused at start, without the secret in the message', (_title, secrets) => {
    expect(() => createWebhookVerifier('/callbacks/x', secrets)).toThrow(/^\/callbacks\/x: /);
    expect(() => createWebhookVerifier('/callbacks/x', secrets)).not.toThrow(/passphrase/);
  });
});

describe('a callback', () => {
  it('genuine → stored as read, 202, under either secret while one is rotated', async () => {
    const { send, stored, reports } = open();
    expect(await send(signed(BODY))).toMatchObject({ status: 202, body: { kind: 'accepted' } });
    expect((await send(signed(BODY, { id: 'msg_2', secret: OLD_SECRET }))).status).toBe(202);
    expect(stored).toEqual([
      expect.objectContaining({
        tool: 'pay',
        id: 'msg_1',
        idempotencyKey: 'k-1',
        outcome: 'applied',
      }),
      expect.objectContaining({ tool: 'pay', id: 'msg_2' }),
    ]);
    expect(reports[0]).toEqual({
      path: '/callbacks/payout',
      status: 202,
      code: 'accepted',
      id: 'msg_1',
    });
  });

  const stale = Date.now() - 301_000;
  const unsigned = { 'webhook-signature': '' };
  const cases: readonly (readonly [string, Request, number, string])[] = [
    ['signed with another secret', signed(BODY, { secret: FORGED }), 401, 'Callback.NotGenuine'],
    ['replayed after six minutes', signed(BODY, { atMs: stale }), 401, 'Callback.NotGenuine'],
    ['without a signature', signed(BODY, { headers: unsigned }), 401, 'Callback.NotGenuine'],
    [
      'under another id',
      signed(BODY, { headers: { 'webhook-id': 'msg_9' } }),
      401,
      'Callback.NotGenuine',
    ],
    ['at an unknown path', signed(BODY, { path: '/callbacks/x' }), 404, 'Callback.NoReceiver'],
    ['as GET', new Request('http://x/callbacks/payout'), 405, 'Callback.MethodNotAllowed'],
    ['no JSON', signed('{'), 400, 'Callback.Unreadable'],
    ['larger than 1 MB', signed(`"${'x'.repeat(1_048_576)}"`), 413, 'Callback.TooLarge'],
  ];
  it.each(cases)('%s → refused, nothing stored', async (_title, request, status, code) => {
    const { send, stored } = open();
    expect(await send(request)).toMatchObject({ status, body: { error: { code } } });
    expect(stored).toEqual([]);
  });

  it('a body without end and without a length → 413 after 1 MB', async () => {
    let pulled = 0;
    const body = new ReadableStream({
      pull(controller) {
        pulled += 65_536;
        controller.enqueue(new Uint8Array(65_536));
      },
    });
    const init = { method: 'POST', body, duplex: 'half' } as const;
    const answer = await open().handler(new Request('http://x/callbacks/payout', init));
    expect(answer.status).toBe(413);
    expect(pulled).toBeLessThan(2_000_000);
  });

  it('a body that `read` cannot read → 400 that names the field and no value', async () => {
    const { send, stored } = open();
    const answer = await send(signed(JSON.stringify({ key: 'k', status: 'secret-word' })));
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain('status: ');
    expect(answer.body.error?.message).not.toContain('secret-word');
    expect(stored).toEqual([]);
  });

  it('news that say nothing of an outcome → 202 ignored, nothing stored', async () => {
    const { send, stored } = open();
    const answer = await send(signed(JSON.stringify({ key: 'k', status: 'processing' })));
    expect(answer).toMatchObject({ status: 202, body: { kind: 'ignored' } });
    expect(stored).toEqual([]);
  });

  it.each([
    [
      'the ledger is down',
      new DatabaseUnreachableError('db.internal:5432/pawl', 'ECONNREFUSED'),
      503,
    ],
    ['anything else fails', new Error('db.internal broke'), 500],
    [
      'another message under a known id',
      new CallbackConflictError('pay', 'm', 'applied', 'refused'),
      409,
    ],
  ])('%s → the receiver hears it, and nothing of our addresses', async (_title, error, status) => {
    const { send } = open({ client: { receiveCallback: () => Promise.reject(error) } });
    const answer = await send(signed(BODY));
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).not.toContain('db.internal');
    expect(answer.headers.has('retry-after')).toBe(status === 503);
  });

  it('a path without a slash, a secret that is none → ArgumentInvalidError at once', () => {
    const read = () => null;
    const receivers = { 'callbacks/x': { tool: 'pay', secrets: [SECRET], read } };
    expect(() => open({ receivers })).toThrow('"callbacks/x" is no path');
    const weak = { '/callbacks/x': { tool: 'pay', secrets: ['hunter2'], read } };
    expect(() => open({ receivers: weak })).toThrow('/callbacks/x: a secret is whsec_');
  });
});

describe('on node:http', () => {
  const closes: (() => void)[] = [];
  afterEach(() => closes.splice(0).forEach((close) => close()));

  async function listen(handler: (request: Request) => Promise<Response>): Promise<number> {
    const server = createServer(toRequestListener(handler));
    closes.push(() => {
      server.closeAllConnections();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  it('a genuine callback → 202; too large a one → 413; both on the wire', async () => {
    const { handler, stored } = open();
    const url = `http://127.0.0.1:${await listen(handler)}/callbacks/payout?x=1`;
    const { headers } = signed(BODY);
    const post = (body: string) => fetch(url, { method: 'POST', headers, body });
    expect((await post(BODY)).status).toBe(202);
    expect(stored).toHaveLength(1);
    expect((await post('x'.repeat(1_100_000))).status).toBe(413);
  });

  it.each([
    ['an address that is none', 'GET http://[ HTTP/1.1', '400'],
    ['a method that a Request cannot have', 'TRACE / HTTP/1.1', '400'],
    ['an address of another host', 'GET //evil.test/callbacks/payout HTTP/1.1', '404'],
  ])('%s → answered, and the server lives', async (_title, line, status) => {
    const port = await listen(open().handler);
    const socket = connect(port, '127.0.0.1');
    closes.push(() => socket.destroy());
    socket.write(`${line}\r\nhost: x\r\nconnection: close\r\n\r\n`);
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('a handler that throws → 500', async () => {
    const port = await listen(() => Promise.reject(new Error('broken')));
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(500);
  });
});
