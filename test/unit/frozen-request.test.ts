// What of a request is stored for a resend, what is not, and how long a receiver may ask us to wait.
import { describe, expect, it } from '@jest/globals';
import { readRetryAfter } from '../../activities/effects/effect-fetch.ts';
import { freeze, thaw } from '../../activities/effects/frozen-request.ts';

const URL_OF_BANK = 'https://bank.example/transfers';

function request(headers: Record<string, string>): Request {
  return new Request(URL_OF_BANK, { method: 'POST', body: '{"cents":1}', headers });
}

describe('a frozen request', () => {
  it.each(['authorization', 'cookie', 'x-api-key', 'x-auth-token', 'x-signature', 'client-secret'])(
    '%s → not stored, sent by the attempt that has it',
    async (name) => {
      const { frozen, credentials } = await freeze(request({ [name]: 'old', 'x-trace': '7' }));
      expect(JSON.stringify(frozen.headers)).not.toContain('old');
      expect(credentials).toEqual([[name, 'old']]);
      const headers = new Headers(thaw(frozen, [[name, 'new']]).headers);
      expect(headers.get(name)).toBe('new');
      expect(headers.get('x-trace')).toBe('7');
    },
  );

  it('the idempotency key and the bytes → stored as they are', async () => {
    const { frozen } = await freeze(request({ 'idempotency-key': 'k-1' }));
    expect(frozen.headers).toContainEqual(['idempotency-key', 'k-1']);
    expect(frozen.body.toString()).toBe('{"cents":1}');
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
