// Our HTTP servers under generated requests, on raw sockets: each whole request is answered with a refusal, none ends the server.
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createConfiguredKeys } from '../../activities/encryption/encryption.ts';
import { createCallbackHandler } from '../../client/callback-handler.ts';
import { type CodecServer, startCodecServer } from '../../client/codec-server.ts';
import { toRequestListener } from '../../client/request-listener.ts';
import { guarantee } from '../guarantee.ts';
import { checkAsyncProperty } from './support-properties.ts';

const TOKEN = 'a token of at least 32 characters';
const RUNS = Number(process.env['PAWL_FUZZ_CASES'] ?? 150);

let codec: CodecServer;
const callbacks = createServer(
  toRequestListener(
    createCallbackHandler({
      client: { receiveCallback: () => Promise.resolve({ kind: 'accepted', effect: null }) },
      receivers: {
        '/callbacks/pay': {
          tool: 'pay',
          secrets: [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
          read: () => null,
        },
      },
    }),
  ),
);
const ports = { codec: 0, callbacks: 0 };

beforeAll(async () => {
  const keys = createConfiguredKeys(`k1:${Buffer.alloc(32, 1).toString('base64')}`);
  codec = await startCodecServer({ keys, token: TOKEN, origins: ['http://ui.example'], port: 0 });
  ports.codec = Number(new URL(codec.url).port);
  await new Promise<void>((resolve) => callbacks.listen(0, '127.0.0.1', resolve));
  ports.callbacks = (callbacks.address() as AddressInfo).port;
});
afterAll(async () => {
  await codec.close();
  callbacks.closeAllConnections();
  callbacks.close();
});

type Door = keyof typeof ports;

interface Sent {
  readonly bytes: Buffer;
  /** After so many bytes the sender hangs up. */
  readonly cutAt: number | undefined;
}

/** What comes back until the server or the sender closes. */
function send(port: number, { bytes, cutAt }: Sent): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined).on('close', () => resolve(answer));
    if (cutAt === undefined) socket.write(bytes);
    else socket.write(bytes.subarray(0, cutAt), () => socket.destroy());
  });
}

async function expectAlive(door: Door): Promise<void> {
  const path = door === 'codec' ? '/decode' : '/callbacks/pay';
  const answer = await fetch(`http://127.0.0.1:${ports[door]}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, connection: 'close' },
    body: '{"payloads":[]}',
  });
  expect(answer.status).toBe(door === 'codec' ? 200 : 401);
}

const targets = fc.oneof(
  fc.constantFrom('/', '//', '///x', '/decode', '/decode?x', '*', 'http://[', 'http://x/decode'),
  fc.constantFrom('/callbacks/pay', '//callbacks/pay', '/callbacks/../callbacks/pay', '/%', '/%00'),
  fc.string({ unit: fc.constantFrom(...'/\\?#%:@[]*.x0é\t'), minLength: 1, maxLength: 20 }),
  fc.constant(`/${'x'.repeat(20_000)}`),
);
const methods = fc.constantFrom(
  'GET',
  'POST',
  'POST',
  'POST',
  'OPTIONS',
  'PUT',
  'TRACE',
  'CONNECT',
  'post',
  'BREW',
);
const headers = fc.array(
  fc.constantFrom(
    ...['authorization: Bearer', `authorization: Bearer ${TOKEN}`, 'authorization: \xff\xfe'],
    ...['origin: http://ui.example', 'origin: null', 'cookie: pawl_codec=0', 'cookie: ;;=,'],
    ...['content-type: application/x-protobuf', 'content-encoding: gzip', 'expect: 100-continue'],
    ...['expect: a-miracle', 'upgrade: websocket', 'content-length: -1', 'content-length: 5'],
    ...['transfer-encoding: chunked', 'webhook-id: x', 'webhook-timestamp: never', 'x'],
  ),
  { maxLength: 5 },
);
const payload = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.record({
    metadata: fc.oneof(
      fc.jsonValue({ maxDepth: 1 }),
      fc.constant({
        encoding: Buffer.from('binary/pawl-encrypted').toString('base64'),
        kek: 'azE=',
        key: 'AAAA',
      }),
    ),
    data: fc.oneof(fc.base64String(), fc.jsonValue({ maxDepth: 1 })),
  }),
);
const bodies = fc.oneof(
  fc
    .record({ payloads: fc.oneof(fc.array(payload, { maxLength: 3 }), fc.jsonValue()) })
    .map((value) => JSON.stringify(value)),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '',
    '{',
    '[['.repeat(20_000),
    'null',
    'zz\r\nrubbish',
    '5\r\nhello\r\n0\r\n\r\n',
    'ffffffffffff\r\n',
  ),
);

/** A request that is whole says how long its body is and asks for the end of the connection. */
const whole = fc
  .record({ method: methods, target: targets, headers, body: bodies })
  .map((given): Sent => {
    const body = Buffer.from(given.body, 'utf8');
    const own = given.headers.filter(
      (line) => !/^(content-length|transfer-encoding|expect|upgrade|x$)/.test(line),
    );
    const head = [
      `${given.method} ${given.target} HTTP/1.1`,
      'host: x',
      ...own,
      `content-length: ${body.length}`,
      'connection: close',
    ];
    return {
      bytes: Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]),
      cutAt: undefined,
    };
  });
const broken = fc
  .record({
    method: methods,
    target: targets,
    headers,
    body: bodies,
    cut: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map((given): Sent => {
    const head = [`${given.method} ${given.target} HTTP/1.1`, ...given.headers];
    const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n${given.body}`, 'utf8');
    return { bytes, cutAt: Math.floor(bytes.length * given.cut) };
  });

describe.each(['codec', 'callbacks'] as const)('the %s door', (door) => {
  guarantee(
    'http-doors',
    'whole requests of any kind → answered with a refusal or a greeting, and it lives',
    async () => {
      await checkAsyncProperty(
        fc.asyncProperty(whole, async (sent) => {
          const answer = await send(ports[door], sent);
          // A CONNECT that nobody serves is hung up on by node:http.
          if (answer === '' && sent.bytes.toString('latin1').startsWith('CONNECT')) return;
          expect(answer).toMatch(/^HTTP\/1\.1 (2\d\d|4\d\d) /);
        }),
        RUNS,
      );
      await expectAlive(door);
    },
  );

  guarantee(
    'http-doors',
    'requests that break off or lie about themselves → it lives',
    async () => {
      await checkAsyncProperty(
        fc.asyncProperty(broken, async (sent) => {
          expect(await send(ports[door], sent)).not.toMatch(/^HTTP\/1\.1 5/);
        }),
        RUNS,
      );
      await expectAlive(door);
    },
  );

  guarantee(
    'http-doors',
    'a body larger than is taken, with its length or in chunks → 413, and it lives',
    async () => {
      const half = Buffer.alloc(9 * 1_024 * 1_024, 'x');
      const head = `POST ${door === 'codec' ? '/decode' : '/callbacks/pay'} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n`;
      const chunk = Buffer.concat([
        Buffer.from(`${half.length.toString(16)}\r\n`),
        half,
        Buffer.from('\r\n'),
      ]);
      const chunked = [
        Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`),
        chunk,
        chunk,
        Buffer.from('0\r\n\r\n'),
      ];
      const sized = [Buffer.from(`${head}content-length: ${half.length * 2}\r\n\r\n`), half, half];
      for (const parts of [chunked, sized]) {
        const answer = await send(ports[door], { bytes: Buffer.concat(parts), cutAt: undefined });
        expect(answer).toMatch(/^HTTP\/1\.1 413 /);
      }
      await expectAlive(door);
    },
  );
});

it('the codec server: what is no payload is named with its place', async () => {
  const ask = async (body: string): Promise<[number, string]> => {
    const answer = await fetch(`${codec.url}/decode`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, connection: 'close' },
      body,
    });
    return [answer.status, await answer.text()];
  };
  expect(await ask('{"payloads":[{"data":7}]}')).toEqual([
    400,
    expect.stringContaining('payloads.0.data'),
  ]);
  expect(await ask('{"payloads":[{"data":"ä"}]}')).toEqual([
    400,
    expect.stringContaining('base64'),
  ]);
  expect(await ask('null')).toEqual([400, expect.stringContaining('the body')]);
});
