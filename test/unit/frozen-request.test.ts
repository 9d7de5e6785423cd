// What of a request is stored for a resend, what is not, and how long a receiver may ask us to wait.
import { describe, expect, it } from '@jest/globals';
import { readRetryAfter } from '../../activities/effects/effect-fetch.ts';
import fc from 'fast-check';
import { freeze, thaw } from '../../activities/effects/frozen-request.ts';
import { withHeadersOnce } from '../../activities/effects/headers-once.ts';
import { checkAsyncProperty } from './support-properties.ts';

const KEY = '6589092c-a9f3-8ddc-aa8f-2487a2eb8376';
const URL_OF_BANK = 'https://bank.example/transfers';

function request(headers: Record<string, string>): Request {
  return new Request(URL_OF_BANK, { method: 'POST', body: '{"cents":1}', headers });
}

describe('a frozen request', () => {
  it.each([
    ...['authorization', 'cookie', 'x-api-key', 'x-auth-token', 'x-signature', 'client-secret'],
    ...['x-auth-key', 'ocp-apim-subscription-key', 'x-password', 'x-functions-key', 'x-anything'],
  ])('%s → not stored, sent by the attempt that has it', async (name) => {
    const { frozen, own } = await freeze(request({ [name]: 'old', 'stripe-version': '7' }), KEY);
    expect(JSON.stringify(frozen.headers)).not.toContain('old');
    expect(own.headers).toEqual([[name, 'old']]);
    const headers = new Headers(thaw(frozen, { ...own, headers: [[name, 'new']] }).init.headers);
    expect(headers.get(name)).toBe('new');
    expect(headers.get('stripe-version')).toBe('7');
  });

  it('the idempotency key and the bytes → stored as they are, the key under any name', async () => {
    const { frozen } = await freeze(
      request({ 'idempotency-key': 'k-1', 'x-client-token': KEY }),
      KEY,
    );
    expect(frozen.headers).toContainEqual(['idempotency-key', 'k-1']);
    expect(frozen.headers).toContainEqual(['x-client-token', KEY]);
    expect(frozen.body.toString()).toBe('{"cents":1}');
  });

  it.each(['stripe-account', 'x-tenant-id', 'x-merchant-id', 'openai-organization', 'tenant'])(
    '%s says whose account it is → stored, and a changed setting sends the key to no other account',
    async (name) => {
      const { frozen, own } = await freeze(request({ [name]: 'first' }), KEY);
      const later = { ...own, headers: [[name, 'second'] as const] };
      expect(new Headers(thaw(frozen, later).init.headers).get(name)).toBe('first');
    },
  );

  it('a row of an older build, with headers that are not stored any more → sent once each, as stored', async () => {
    const { frozen, own } = await freeze(request({ 'x-note': 'b' }), KEY);
    const old = { ...frozen, headers: [...frozen.headers, ['x-note', 'a'] as const] };
    expect(new Headers(thaw(old, own).init.headers).get('x-note')).toBe('a');
  });

  it.each([
    ['?api_key=s3cret&ref=7', '?api_key=&ref=7'],
    ['?a=%20b&access_token=s3cret&a=+c', '?a=%20b&access_token=&a=+c'],
    ['?key=s3cret', '?key='],
    ['?X-Amz-Signature=s3cret&X-Amz-Date=1', '?X-Amz-Signature=&X-Amz-Date=1'],
    ['?%61pikey=s3cret', '?%61pikey='],
    ['?monkey=1&sort=asc&q=%ZZ', undefined],
    ['?sig=s3cret&sig=s3cret2', '?sig=&sig='],
    ['?', undefined],
    ['', undefined],
  ])('the query %j → stored as %j, sent whole', async (query, stored) => {
    const url = `${URL_OF_BANK}${query}`;
    const { frozen, own } = await freeze(new Request(url, { method: 'POST' }), KEY);
    if (stored !== undefined) expect(frozen.url).toBe(`${URL_OF_BANK}${stored}`);
    expect(frozen.url).not.toContain('s3cret');
    expect(thaw(frozen, own).url).toBe(new URL(url).href);
    const rotated = { ...own, url: own.url.replaceAll('s3cret', 'n3w') };
    expect(thaw(frozen, rotated).url).toBe(new URL(url).href.replaceAll('s3cret', 'n3w'));
  });

  it('generated → the wire gets each header and byte that the tool gave, and no value of a foreign name is stored', async () => {
    const names = fc.stringMatching(/^[a-z][a-z0-9-]{0,15}$/);
    const parameters = fc.array(fc.tuple(names, fc.webQueryParameters()), { maxLength: 4 });
    const property = fc.asyncProperty(names, parameters, async (name, query) => {
      const search = query
        .map(([one, value]) => `${one}=${value.replaceAll(/[&=#]/g, '')}`)
        .join('&');
      const url = `${URL_OF_BANK}?${search}`;
      const given = new Request(url, {
        method: 'POST',
        body: 'b',
        headers: { [`x-${name}-key`]: 's3cret' },
      });
      const { frozen, own } = await freeze(given, KEY);
      expect(JSON.stringify(frozen.headers)).not.toContain('s3cret');
      const sent = thaw(frozen, own);
      expect(sent.url).toBe(given.url);
      expect(new Headers(sent.init.headers)).toEqual(new Headers(given.headers));
    });
    await checkAsyncProperty(property, 200);
  });
});

describe('a header that is given twice', () => {
  it.each<[NonNullable<RequestInit['headers']>, string | null]>([
    [{ 'content-type': 'a/b', 'Content-Type': 'c/d' }, 'c/d'],
    [
      [
        ['content-type', 'a/b'],
        ['CONTENT-TYPE', 'c/d'],
      ],
      'c/d',
    ],
    [new Headers({ 'Content-Type': 'c/d' }), 'c/d'],
    [{}, null],
  ])('%p → the last one, not both', (headers, expected) => {
    expect(new Headers(withHeadersOnce({ headers })?.headers).get('content-type')).toBe(expected);
  });

  it('a list of values in a list → joined, as fetch does', () => {
    const headers: [string, string][] = [
      ['accept', 'a/b'],
      ['Accept', 'c/d'],
    ];
    expect(new Headers(withHeadersOnce({ headers })?.headers).get('accept')).toBe('a/b, c/d');
  });
});

describe('Retry-After', () => {
  const nowMs = Date.UTC(2026, 10, 20, 12, 0, 0);
  it.each([
    ['7', 7_000],
    ['0', 0],
    ['Fri, 20 Nov 2026 12:00:30 GMT', 30_000],
    ['Fri, 20 Nov 2026 11:00:00 GMT', 0],
    ['99999999', 600_000],
    ['soon', undefined],
    [null, undefined],
  ])('%p → %p ms', (header, delayMs) => {
    expect(readRetryAfter(header, nowMs)).toBe(delayMs);
  });
});
