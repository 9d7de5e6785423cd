// The codec server on a real socket: who may decrypt, from which pages, and what everybody else is told.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createConfiguredKeys } from '../../activities/encryption/encryption.ts';
import { createPayloadCodec } from '../../activities/encryption/payload-codec.ts';
import { guarantee } from '../guarantee.ts';
import { type CodecAccess, type CodecServer, startCodecServer } from '../../client/codec-server.ts';

const keys = createConfiguredKeys(`k1:${Buffer.alloc(32, 1).toString('base64')}`);
const token = 'a token of at least 32 characters';
const UI = 'http://127.0.0.1:8233';
const seen: CodecAccess[] = [];
let server: CodecServer;
let sealed: { metadata: Record<string, string>; data: string };

beforeAll(async () => {
  server = await startCodecServer({
    ...{ keys, token, origins: [UI], port: 0 },
    onRequest: (line) => seen.push(line),
  });
  const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"words"') };
  const [payload] = await createPayloadCodec(keys, 'acme').encode([plain]);
  const metadata = Object.entries(payload?.metadata ?? {}).map(([name, bytes]) => [
    name,
    Buffer.from(bytes).toString('base64'),
  ]);
  sealed = {
    metadata: Object.fromEntries(metadata) as Record<string, string>,
    data: Buffer.from(payload?.data ?? []).toString('base64'),
  };
});
afterAll(() => server.close());

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | URLSearchParams;
}

/** On a connection of its own: a kept one may be closed by the server just when it is used again. */
const ask = (path: string, { method = 'POST', headers, body }: Asked) =>
  fetch(`${server.url}${path}`, {
    method,
    headers: { ...headers, connection: 'close' },
    body: body ?? null,
  });

const decode = (headers: Record<string, string>, body: unknown = { payloads: [sealed] }) =>
  ask('/decode', { headers, body: JSON.stringify(body) });

const logIn = (given: string) => ask('/', { body: new URLSearchParams({ token: given }) });

describe('codec server', () => {
  guarantee(
    'codec-server',
    'the token as a bearer → decrypted; what was never encrypted comes back as it is',
    async () => {
      const plain = { metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'Nw==' };
      const answer = await decode(
        { authorization: `Bearer ${token}`, origin: UI },
        { payloads: [sealed, plain] },
      );
      expect(answer.status).toBe(200);
      expect(answer.headers.get('access-control-allow-origin')).toBe(UI);
      const { payloads } = (await answer.json()) as { payloads: { data: string }[] };
      expect(Buffer.from(payloads[0]?.data ?? '', 'base64').toString()).toBe('"words"');
      expect(payloads[1]).toEqual(plain);
    },
  );

  guarantee(
    'codec-server',
    'logged in → the cookie opens it for the page of the UI only, and is not the token',
    async () => {
      const answer = await logIn(token);
      const [cookie = ''] = answer.headers.getSetCookie();
      expect(answer.status).toBe(200);
      expect(cookie).toMatch(/^pawl_codec=[0-9a-f]{64}; HttpOnly; SameSite=Strict; Path=\/$/);
      expect(cookie).not.toContain(token);
      const [pair = ''] = cookie.split(';');
      expect((await decode({ cookie: pair, origin: UI })).status).toBe(200);
      expect((await decode({ cookie: pair, origin: 'http://evil.example' })).status).toBe(401);
      expect((await decode({ cookie: pair })).status).toBe(401);
    },
  );

  it.each([
    ['no token', {}],
    ['another token', { authorization: 'Bearer another token of at least 32 characters' }],
    ['a part of the token', { authorization: `Bearer ${token.slice(0, 31)}` }],
    ['a made-up cookie', { cookie: `pawl_codec=${'0'.repeat(64)}`, origin: UI }],
  ])('%s → 401 and nothing decrypted', async (_what, headers) => {
    const answer = await decode(headers as Record<string, string>);
    expect(answer.status).toBe(401);
    expect(await answer.text()).not.toContain('words');
    expect((await logIn('wrong')).status).toBe(401);
  });

  guarantee('codec-server', 'a preflight → only the UI is let in', async () => {
    const preflight = (origin: string) =>
      ask('/decode', { method: 'OPTIONS', headers: { origin } });
    const mine = await preflight(UI);
    expect(mine.status).toBe(204);
    expect(mine.headers.get('access-control-allow-credentials')).toBe('true');
    const other = await preflight('http://evil.example');
    expect(other.status).toBe(403);
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('a changed payload, no JSON, another path → an error, and the log has no payload', async () => {
    const headers = { authorization: `Bearer ${token}` };
    const data = `${sealed.data.slice(0, -8)}AAAAAAAA`;
    const changed = await decode(headers, { payloads: [{ ...sealed, data }] });
    expect(changed.status).toBe(400);
    expect(await changed.text()).toContain('was changed');
    expect((await ask('/decode', { headers, body: '{' })).status).toBe(400);
    expect((await ask('/encode', { headers })).status).toBe(404);
    expect(seen.some(({ status, payloads }) => status === 200 && payloads === 2)).toBe(true);
    expect(JSON.stringify(seen)).not.toContain('words');
  });

  it.each([
    ['no token', '', [UI], 'PAWL_CODEC_TOKEN'],
    ['a short token', 'short', [UI], 'at least 32 characters'],
    ['no origin', token, [], 'origin'],
    ['any origin', token, ['*'], '"*" is no origin'],
    ['an origin with a path', token, [`${UI}/x`], 'is no origin'],
  ])('%s → does not start', async (_what, given, origins, message) => {
    await expect(startCodecServer({ keys, token: given, origins, port: 0 })).rejects.toMatchObject({
      code: 'Argument.Invalid',
      message: expect.stringContaining(message),
    });
  });
});
