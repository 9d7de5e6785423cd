// The wire: no redirect, no private peer, and the proof that nothing was ever sent; on real sockets.
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { joinSignals } from '../../activities/join-signals.ts';
import { isPrivate } from '../../activities/effects/addresses.ts';
import { EgressRefused } from '../../activities/effects/egress.ts';
import { whyNeverConnected } from '../../activities/effects/never-connected.ts';
import { createWire } from '../../activities/effects/wire.ts';
import { type LocalServer, serve, serveTcp } from './local-server.ts';
import { guarantee } from '../guarantee.ts';

const open: LocalServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});
const opening = <T extends LocalServer>(server: T): T => {
  open.push(server);
  return server;
};

const allowed = createWire({ privateNetworks: 'allow' });
const refusing = createWire();
const post = { method: 'POST', body: 'pay' };

/** What a call throws. */
const thrownBy = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'nothing thrown',
    (error: unknown) => error,
  );

/** The innermost cause. */
function rootOf(error: unknown): unknown {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return cause === undefined ? error : rootOf(cause);
}

const echo = () => serve((_, response) => response.end('ok')).then(opening);

describe('a private peer', () => {
  it('by address → refused with a message that says what to do; no request arrives', async () => {
    const server = await echo();
    const error = await thrownBy(refusing(server.url, post));
    expect(rootOf(error)).toBeInstanceOf(EgressRefused);
    expect(rootOf(error)).toMatchObject({
      code: 'PAWL_EGRESS_REFUSED',
      message: 'The address could not be reached.',
      detail:
        '"127.0.0.1" is 127.0.0.1, a private address: tools may not reach it ' +
        '(PAWL_EGRESS_PRIVATE=allow where that is meant)',
    });
    expect(server.arrived).toEqual([]);
  });

  it.each([
    'localhost',
    '2130706433',
    '0x7f000001',
    '127.1',
    '0',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
  ])('by the name %s → refused all the same', async (host) => {
    const server = await echo();
    const error = await thrownBy(refusing(`http://${host}:${server.port}`, post));
    expect(rootOf(error)).toMatchObject({ code: 'PAWL_EGRESS_REFUSED' });
    expect(whyNeverConnected(error)).toMatch(/^PAWL_EGRESS_REFUSED: /);
    expect(server.arrived).toEqual([]);
  });

  it('by IPv6 loopback → refused', async () => {
    const server = opening(await serve((_, response) => response.end('ok'), '::1'));
    const error = await thrownBy(refusing(server.url, post));
    expect(rootOf(error)).toMatchObject({ code: 'PAWL_EGRESS_REFUSED' });
    expect(server.arrived).toEqual([]);
  });

  it('allowed by configuration → reached', async () => {
    const server = await echo();
    const answer = await allowed(server.url, post);
    expect(await answer.text()).toBe('ok');
    expect(server.arrived[0]).toMatchObject({ method: 'POST', body: Buffer.from('pay') });
  });
});

describe('which addresses are private', () => {
  it.each([
    ...['127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
    ...['169.254.169.254', '100.64.0.1', '100.127.255.255', '0.0.0.0', '0.1.2.3', '192.0.0.1'],
    ...['198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...[
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::FFFF:10.0.0.1',
      '0:0:0:0:0:ffff:a00:1',
    ],
    ...['fc00::1', 'fd12:3456::1', 'fe80::1', 'fe80::1%lo', 'febf::1', 'fec0::1', 'ff02::1'],
    // Addresses that carry an IPv4 one to a translator.
    ...[
      '::ffff:0:7f00:1',
      '::ffff:0:127.0.0.1',
      '168.63.129.16',
      '::ffff:168.63.129.16',
      '2001:db8::1',
    ],
    ...['64:ff9b::7f00:1', '64:ff9b:1::a00:1', '2002:7f00:1::', '2001:0:4136:e378::1', '::7f00:1'],
    ...['', 'not an address', '127.0.0.1.example'],
  ])('%p → private', (address) => {
    expect(isPrivate(address)).toBe(true);
  });

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '193.0.0.1',
    '::ffff:8.8.8.8',
    '2606:4700:4700::1111',
    '2001:4860:4860::8888',
  ])('%s → public', (address) => {
    expect(isPrivate(address)).toBe(false);
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])(
    '%d → an error, and nobody is asked at the other place',
    async (status) => {
      const elsewhere = await echo();
      const server = opening(
        await serve((_, response) => response.writeHead(status, { location: elsewhere.url }).end()),
      );
      const error = await thrownBy(allowed(server.url, post));
      expect(rootOf(error)).toMatchObject({ message: expect.stringMatching(/redirect/i) });
      // The first request did arrive: whatever it did is done.
      expect(whyNeverConnected(error)).toBeUndefined();
      expect(server.arrived).toHaveLength(1);
      expect(elsewhere.connections()).toBe(0);
    },
  );

  it('a caller that asks to follow → not followed', async () => {
    const elsewhere = await echo();
    const server = opening(
      await serve((_, response) => response.writeHead(302, { location: elsewhere.url }).end()),
    );
    await thrownBy(allowed(server.url, { ...post, redirect: 'follow' }));
    expect(elsewhere.connections()).toBe(0);
  });
});

describe('the proof that nothing was sent', () => {
  it('a closed port → ECONNREFUSED, never connected', async () => {
    const server = await serve(() => undefined);
    await server.close();
    const error = await thrownBy(allowed(server.url, post));
    expect(whyNeverConnected(error)).toMatch(/^ECONNREFUSED: /);
  });

  it('a closed port behind a name with two addresses → never connected', async () => {
    const server = await serve(() => undefined);
    await server.close();
    const error = await thrownBy(allowed(`http://localhost:${server.port}`, post));
    expect(whyNeverConnected(error)).toMatch(/ECONNREFUSED/);
  });

  it('a name that does not exist → never connected', async () => {
    const error = await thrownBy(allowed('http://pawl-no-such-host.invalid', post));
    expect(whyNeverConnected(error)).toMatch(/^(ENOTFOUND|EAI_AGAIN): /);
  });

  guarantee('law-06-ambiguous', 'a reset after the write → not proven', async () => {
    const server = opening(
      await serveTcp((socket) => socket.once('data', () => socket.resetAndDestroy())),
    );
    const error = await thrownBy(allowed(server.url, post));
    expect(error).toBeInstanceOf(TypeError);
    expect(whyNeverConnected(error)).toBeUndefined();
  });

  guarantee(
    'law-06-ambiguous',
    'a connection that is closed without an answer → not proven',
    async () => {
      const server = opening(await serveTcp((socket) => socket.once('data', () => socket.end())));
      expect(whyNeverConnected(await thrownBy(allowed(server.url, post)))).toBeUndefined();
    },
  );

  guarantee('law-06-ambiguous', 'an abort while the answer is awaited → not proven', async () => {
    const abort = new AbortController();
    const server = opening(await serve(() => abort.abort(new Error('time is up'))));
    const error = await thrownBy(allowed(server.url, { ...post, signal: abort.signal }));
    expect(whyNeverConnected(error)).toBeUndefined();
    expect(server.arrived).toHaveLength(1);
  });

  guarantee('law-06-ambiguous', 'a body that is cut → not proven', async () => {
    const server = opening(
      await serveTcp((socket) =>
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')),
      ),
    );
    const answer = await allowed(server.url, post);
    const error = await thrownBy(answer.text());
    expect(error).toMatchObject({ name: 'TypeError' });
    expect(whyNeverConnected(error)).toBeUndefined();
  });

  // Linux reports a soft error of an established connection (an ICMP message) under the codes of connect(2).
  it.each(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'])(
    '%s by a read or a write → not proven',
    (code) => {
      for (const syscall of ['read', 'write']) {
        const cause = Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
        expect(whyNeverConnected(new TypeError('fetch failed', { cause }))).toBeUndefined();
      }
      const cause = Object.assign(new Error(`connect ${code}`), { code, syscall: 'connect' });
      expect(whyNeverConnected(new TypeError('fetch failed', { cause }))).toBe(
        `${code}: connect ${code}`,
      );
    },
  );

  it('what is no error → not proven', () => {
    expect([undefined, null, 'ECONNREFUSED', {}].map(whyNeverConnected)).toEqual(
      Array.from({ length: 4 }, () => undefined),
    );
  });
});

describe('an abort', () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;

  it.each<[string, (signal: AbortSignal) => RequestInit]>([
    ['given to fetch', (signal) => ({ ...post, signal })],
    ['joined with another', (signal) => ({ ...post, signal: joinSignals(signal, undefined) })],
    ['joined twice', (signal) => ({ ...post, signal: joinSignals(joinSignals(signal)) })],
  ])('%s, a garbage collection, then the time-out → the request ends', async (_name, call) => {
    // Once, behind the arrival: on a timer, the collections of a large heap would keep the request from being sent.
    const collect = jest.fn(() => collectGarbage());
    const server = opening(await serve(() => void setImmediate(collect)));
    const hanging = thrownBy(allowed(server.url, call(AbortSignal.timeout(3_000))));
    expect(await hanging).toMatchObject({ name: 'TimeoutError' });
    expect(collect).toHaveBeenCalledTimes(1);
    expect(server.arrived).toHaveLength(1);
  });

  it('on a Request → the request ends', async () => {
    const abort = new AbortController();
    const server = opening(await serve(() => abort.abort(new Error('time is up'))));
    const request = new Request(server.url, { ...post, signal: abort.signal });
    expect(await thrownBy(allowed(request))).toMatchObject({ message: 'time is up' });
  });

  it('before the call → nothing is sent', async () => {
    const server = await echo();
    const error = await thrownBy(
      allowed(server.url, { ...post, signal: AbortSignal.abort(new Error('late')) }),
    );
    expect(error).toMatchObject({ message: 'late' });
    expect(server.connections()).toBe(0);
  });
});

describe('what fetch takes', () => {
  it('a Request, a URL, a form, parameters → sent as fetch would', async () => {
    const server = await echo();
    const form = new FormData();
    form.set('a', '1');
    await allowed(new Request(server.url, { ...post, headers: { 'x-a': 'b' } }));
    await allowed(new URL('/url', server.url));
    await allowed(server.url, { method: 'POST', body: form });
    await allowed(server.url, { method: 'POST', body: new URLSearchParams({ a: '1' }) });
    const [request, url, formData, parameters] = server.arrived;
    expect(request).toMatchObject({
      method: 'POST',
      headers: { 'x-a': 'b' },
      body: Buffer.from('pay'),
    });
    expect(url).toMatchObject({ method: 'GET', path: '/url' });
    expect(formData?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(formData?.body.toString()).toContain('name="a"');
    expect(parameters?.body.toString()).toBe('a=1');
  });

  it('bytes → those bytes', async () => {
    const server = await echo();
    const body = Uint8Array.from({ length: 256 }, (_, index) => index);
    await allowed(server.url, { method: 'POST', body });
    expect(server.arrived[0]?.body.equals(Buffer.from(body))).toBe(true);
  });
});
