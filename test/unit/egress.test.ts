// Where tools may connect to, judged at the socket: no attempt to connect, and no byte of TLS, to what is refused.
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import type { LookupAddress } from 'node:dns';
import { type LookupFunction, Socket } from 'node:net';
import fc from 'fast-check';
import { isPrivate } from '../../activities/effects/addresses.ts';
import { tellFailure, whyNeverConnected } from '../../activities/effects/never-connected.ts';
import { createWire, type Wire } from '../../activities/effects/wire.ts';
import { isHostListed, toHost } from '../../domain/rules/hosts.ts';
import { guarantee } from '../guarantee.ts';
import { type LocalServer, serve, serveTcp } from './local-server.ts';
import { checkAsyncProperty } from './support-properties.ts';

let server: LocalServer;
let bytes = 0;
beforeAll(async () => {
  server = await serveTcp((socket) => socket.on('data', (chunk) => (bytes += chunk.length)));
});
afterAll(() => server.close());

/** Addresses that some socket began to connect to. */
let attempts: string[];
beforeEach(() => {
  attempts = [];
  const emit = Socket.prototype.emit;
  jest.spyOn(Socket.prototype, 'emit').mockImplementation(function (this: Socket, name, ...rest) {
    if (String(name) === 'connectionAttempt') attempts.push(String((rest as unknown[])[0]));
    return emit.call(this, name, ...(rest as []));
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});

const post = { method: 'POST', body: 'pay', headers: [] as [string, string][] };

/** What the call throws, with the code that its chain of causes ends in. */
async function refused(wire: Wire, url: string, init: RequestInit = post): Promise<unknown> {
  const thrown: unknown = await wire(url, init).then(
    () => 'nothing thrown',
    (error: unknown) => error,
  );
  return { why: whyNeverConnected(thrown), told: tellFailure(thrown) };
}

const REFUSED = {
  why: expect.stringMatching(/^PAWL_EGRESS_REFUSED: /),
  told: 'The address could not be reached.',
};

/** A resolver that says this of every name; each look-up is the next list. */
function resolver(...lists: readonly string[][]): LookupFunction {
  let asked = 0;
  return (_name, _options, callback) => {
    const list = lists[Math.min(asked, lists.length - 1)] ?? [];
    asked += 1;
    const found = list.map((address): LookupAddress => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    callback(null, found);
  };
}

const LITERALS = [
  ...['127.0.0.1', '127.1', '127.0.1', '2130706433', '017700000001', '0x7f000001', '0x7f.1', '0'],
  ...[
    '0177.0.0.1',
    '0x7f.0x0.0x0.0x1',
    '127.0.0.1.',
    '%31%32%37.0.0.1',
    '１２７.0.0.1',
    '127。0。0。1',
  ],
  ...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.100.100.200'],
  ...[
    '169.254.169.254',
    '169.254.170.2',
    '2852039166',
    '0xa9fea9fe',
    '168.63.129.16',
    '192.0.0.192',
  ],
  ...[
    '0.0.0.0',
    '0.1.2.3',
    '198.18.0.1',
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.1',
    '192.88.99.1',
  ],
  ...['224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255'],
  ...[
    '[::]',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::127.0.0.1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
  ],
  ...[
    '[::ffff:0:7f00:1]',
    '[::ffff:0:169.254.169.254]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b::a9fe:a9fe]',
  ],
  ...['[64:ff9b:1::a00:1]', '[64:ff9b:1:ffff::1]', '[2002:7f00:1::]', '[2002:a9fe:a9fe::1]'],
  ...[
    '[2001:0:4136:e378::1]',
    '[2001:10::1]',
    '[2001:20::1]',
    '[2001:db8::1]',
    '[3fff::1]',
    '[5f00::1]',
  ],
  ...[
    '[fc00::1]',
    '[fd00:ec2::254]',
    '[fe80::1]',
    '[febf::1]',
    '[fec0::1]',
    '[ff02::1]',
    '[100::1]',
  ],
];

const SCHEMES = [
  'data:application/json,{"id":"forged"}',
  'DATA:,x',
  'file:///etc/passwd',
  'blob:nodedata:0b0b0b0b-0000-0000-0000-000000000000',
  'ftp://bank.example/',
  'ws://bank.example/',
  'about:blank',
  'javascript:1',
];

describe('what is refused', () => {
  guarantee.each(
    'egress-guarded',
    LITERALS.flatMap((host): [string][] => [[`http://${host}`], [`https://${host}`]]),
  )('%s → nobody tries to connect', async (origin) => {
    expect(await refused(createWire(), `${origin}:${server.port}/`)).toEqual(REFUSED);
    expect(attempts).toEqual([]);
    expect(server.connections()).toBe(0);
  });

  guarantee.each(
    'egress-guarded',
    SCHEMES.map((url): [string] => [url]),
  )('%s → no answer is made of it, not even where private networks are allowed', async (url) => {
    for (const wire of [createWire(), createWire({ privateNetworks: 'allow' })]) {
      expect(await refused(wire, url)).toEqual(REFUSED);
      expect(await refused(wire, url, { method: 'GET' })).toEqual(REFUSED);
    }
    expect(attempts).toEqual([]);
  });

  guarantee.each('egress-guarded', [
    ['127.0.0.1'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['64:ff9b::7f00:1'],
    ['169.254.169.254'],
    ['10.1.2.3'],
    ['168.63.129.16'],
  ])('a public name that resolves to %s → nobody tries to connect', async (address) => {
    const wire = createWire({ lookup: resolver([address]) });
    for (const scheme of ['http', 'https']) {
      expect(await refused(wire, `${scheme}://bank.example:${server.port}/`)).toEqual(REFUSED);
    }
    expect(attempts).toEqual([]);
  });

  guarantee(
    'egress-guarded',
    'a name that is public when it is judged and private when it is connected to → only judged addresses are connected to',
    async () => {
      const wire = createWire({
        lookup: resolver(['192.0.2.77'], ['127.0.0.1']),
        isRefused: (a) => a.startsWith('127.'),
      });
      const signal = AbortSignal.timeout(200);
      await refused(wire, `http://rebound.example:${server.port}/`, { ...post, signal });
      await refused(wire, `http://rebound.example:${server.port}/`, {
        ...post,
        signal: AbortSignal.timeout(200),
      });
      expect(attempts).not.toContain('127.0.0.1');
      expect(server.connections()).toBe(0);
    },
  );

  guarantee(
    'egress-guarded',
    'a name with a private and a public address → only the public one',
    async () => {
      const wire = createWire({
        lookup: resolver(['127.0.0.1', '192.0.2.78']),
        isRefused: (address) => address.startsWith('127.'),
      });
      const signal = AbortSignal.timeout(200);
      await refused(wire, `http://both.example:${server.port}/`, { ...post, signal });
      expect(attempts).not.toContain('127.0.0.1');
    },
  );

  guarantee(
    'egress-guarded',
    'a peer that only the socket shows (the network lied) → closed before a byte of TLS or of the request',
    async () => {
      for (const scheme of ['https', 'http']) {
        // The look-up is told that it is public, the socket that it is not.
        const judged = jest.fn((_address: string) => judged.mock.calls.length > 1);
        const wire = createWire({ lookup: resolver(['127.0.0.1']), isRefused: judged });
        expect(await refused(wire, `${scheme}://bank.example:${server.port}/`)).toEqual(REFUSED);
        expect(judged).toHaveBeenCalledTimes(2);
      }
      expect(attempts).toEqual(['127.0.0.1', '127.0.0.1']);
      expect(bytes).toBe(0);
    },
  );
});

describe('generated addresses', () => {
  const v4 = fc.ipV4().filter(isPrivate);
  const carried = fc
    .tuple(fc.constantFrom('::ffff:', '::ffff:0:', '64:ff9b::', '::'), v4)
    .map(([prefix, address]) => `${prefix}${address}`);
  guarantee(
    'egress-guarded',
    'any private address, in any carrier, as literal or by name → no attempt',
    async () => {
      const property = fc.asyncProperty(
        fc.oneof(v4, carried),
        fc.boolean(),
        async (address, isNamed) => {
          const host = address.includes(':') ? `[${address}]` : address;
          const wire = createWire({ lookup: resolver([address]) });
          const url = `http://${isNamed ? 'bank.example' : host}:${server.port}/`;
          expect(await refused(wire, url)).toEqual(REFUSED);
          expect(attempts).toEqual([]);
        },
      );
      await checkAsyncProperty(property, 200);
    },
  );
});

describe('a list of hosts', () => {
  it.each([
    [['bank.example'], 'https://bank.example/pay', true],
    [['bank.example'], 'https://BANK.example./pay', true],
    [['bank.example'], 'https://api.bank.example/', false],
    [['bank.example'], 'https://bank.example.evil.example/', false],
    [['*.bank.example'], 'https://api.bank.example/', true],
    [['*.bank.example'], 'https://bank.example/', false],
    [['*.bank.example'], 'https://evilbank.example/', false],
    [['bank.example:8443'], 'https://bank.example:8443/', true],
    [['bank.example:8443'], 'https://bank.example/', false],
    [['bank.example:443'], 'https://bank.example/', true],
    [['Bücher.example'], 'https://xn--bcher-kva.example/', true],
    [['[::1]:80'], 'http://[::1]/', true],
    [['0x7f.1'], 'http://127.0.0.1/', true],
    [[], 'https://bank.example/', false],
  ])('%j: %s → %p', (hosts, url, expected) => {
    expect(isHostListed(hosts.map(toHost), new URL(url))).toBe(expected);
  });

  it.each([
    '',
    'https://bank.example',
    'bank.example/pay',
    'a@b.example',
    '*',
    '*.*.example',
    'b:0',
    'b:99999',
  ])('%j → no host', (text) => {
    expect(() => toHost(text)).toThrow(`"${text}" is no host`);
  });

  guarantee(
    'egress-guarded',
    'the worker and the tool each have a list → both have to name the host',
    async () => {
      const host = `127.0.0.1:${server.port}`;
      const url = `http://${host}/`;
      const listed = createWire({ privateNetworks: 'allow', hosts: [host] });
      for (const [wire, egress] of [
        [createWire({ privateNetworks: 'allow', hosts: ['bank.example'] }), undefined],
        [createWire({ privateNetworks: 'allow', hosts: ['bank.example'] }), [host]],
        [listed, ['bank.example']],
        [listed, []],
      ] as const) {
        const call: Wire = (input, init) => wire(input, init, { egress });
        expect(await refused(call, url)).toEqual(REFUSED);
      }
      expect(attempts).toEqual([]);
      const open = await serve((_, response) => response.end('ok'));
      const allowed = createWire({ privateNetworks: 'allow', hosts: [`127.0.0.1:${open.port}`] });
      const answer = await allowed(open.url, post, { egress: ['127.0.0.1'] });
      expect(await answer.text()).toBe('ok');
      await open.close();
    },
  );
});
