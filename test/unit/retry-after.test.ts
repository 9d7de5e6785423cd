// The wait that a provider asks for: a finite fact, whatever its headers say.
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseRetryAfterMs } from '../../activities/models/sdk-errors.ts';
import { checkProperty } from './support-properties.ts';

const NOW_MS = Date.parse('2026-11-30T12:00:00Z');
const YEAR_MS = 366 * 24 * 3_600_000;
const read = (headers: Record<string, string>): number | undefined =>
  parseRetryAfterMs(new Headers(headers), NOW_MS);

it.each([
  ['3', 3_000],
  ['0.5', 500],
  [' 7 ', 7_000],
  ['86400', 86_400_000],
  ['9'.repeat(400), YEAR_MS],
  ['Mon, 30 Nov 2026 12:01:00 GMT', 60_000],
  ['Monday, 30-Nov-26 12:01:00 GMT', 60_000],
  ['Mon Nov 30 12:01:00 2026 GMT', 60_000],
  ['Mon, 30 Nov 2026 11:00:00 GMT', 0],
  ['Fri, 31 Dec 9999 23:59:59 GMT', YEAR_MS],
  ['-5', undefined],
  ['-0', undefined],
  ['NaN', undefined],
  ['Infinity', undefined],
  ['1e9', undefined],
  ['0x10', undefined],
  ['', undefined],
  ['soon', undefined],
  ['Mon, 99 Nov 2026 12:01:00 GMT', undefined],
])('retry-after: %j → %s', (header, waitMs) => {
  expect(read({ 'retry-after': header })).toBe(waitMs);
});

it.each([
  ['7123', 7_123],
  ['9'.repeat(400), YEAR_MS],
  ['-1', 60_000],
  ['7123abc', 60_000],
  ['NaN', 60_000],
])('retry-after-ms: %j → before the seconds only when it is a number', (header, waitMs) => {
  expect(read({ 'retry-after-ms': header, 'retry-after': '60' })).toBe(waitMs);
});

it('any headers → nothing, or a finite wait of at most a year', () => {
  const header = fc.string({ unit: 'grapheme-ascii' });
  checkProperty(
    fc.property(header, header, (exact, other) => {
      const waitMs = read({ 'retry-after-ms': exact, 'retry-after': other });
      return waitMs === undefined || (waitMs >= 0 && waitMs <= YEAR_MS);
    }),
  );
});
