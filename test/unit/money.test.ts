// Decimal strings, minor units and micro-USD: exact both ways, and clear about what is not an amount.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatAmount, fromMicroUsd, toAmount, toMicroUsd } from '../../domain/rules/money.ts';

const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);

describe(`money (seed ${seed}: repeat with FC_SEED=${seed})`, () => {
  it.each([
    ['0.50', 500_000n],
    ['1', 1_000_000n],
    ['0.000001', 1n],
    ['123456789012.345678', 123_456_789_012_345_678n],
  ])('%s USD → micro-USD', (decimal, microUsd) => {
    expect(toMicroUsd(decimal)).toBe(microUsd);
  });

  it.each(['', '.5', '1.', '-1', '1e3', '1,00', '0.0000001', ' 1', 'NaN'])(
    '"%s" → refused, and the message shows it',
    (text) => {
      expect(() => toMicroUsd(text)).toThrow(`"${text}" is not an amount in USD`);
    },
  );

  it('any micro-USD → text and back, at least two decimals', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), (microUsd) => {
        const text = fromMicroUsd(microUsd);
        expect(text).toMatch(/^\d+\.\d{2,6}$/);
        expect(toMicroUsd(text)).toBe(microUsd);
      }),
      { seed },
    );
  });

  it.each([
    [500_000n, '0.50'],
    [1_234n, '0.001234'],
    [1_000_000n, '1.00'],
    [-120_000n, '-0.12'],
  ])('%s micro-USD → text', (microUsd, text) => {
    expect(fromMicroUsd(microUsd)).toBe(text);
  });

  it.each([
    [2_000, 'EUR', 'EUR 20.00'],
    [5, 'USD', 'USD 0.05'],
    [500, 'JPY', 'JPY 500'],
    [1_234, 'KWD', 'KWD 1.234'],
    [-250, 'EUR', 'EUR -2.50'],
  ])('%s minor units of %s → %s', (minor, currency, text) => {
    expect(formatAmount({ minor, currency })).toBe(text);
  });

  it('a decimal amount → minor units of its currency', () => {
    expect(toAmount('20.00', 'EUR')).toEqual({ minor: 2_000, currency: 'EUR' });
    expect(toAmount('20', 'JPY')).toEqual({ minor: 20, currency: 'JPY' });
    expect(() => toAmount('20.5', 'JPY')).toThrow('"20.5" is not an amount in JPY');
  });

  it('half a cent → refused instead of rounded', () => {
    expect(() => formatAmount({ minor: 0.5, currency: 'EUR' })).toThrow('use a safe integer');
  });

  it('a currency that is no ISO code → refused', () => {
    expect(() => formatAmount({ minor: 1, currency: '€' })).toThrow('"€" is not a currency');
  });
});
