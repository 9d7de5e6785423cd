// Money without floats: decimal strings to micro-USD and minor units, and back for people to read.

/** An amount that an effect moves. */
export interface Amount {
  /** Whole minor units (cents for EUR, yen for JPY); a safe integer. */
  readonly minor: number;
  /** ISO 4217 code, upper case. */
  readonly currency: string;
}

/** Micro-USD in one USD. */
export const MICRO_PER_USD = 1_000_000n;

/** Micro-USD of a decimal string such as `0.50`; throws a `TypeError` beyond six decimals. */
export function toMicroUsd(decimal: string): bigint {
  return toUnits(decimal, 6, 'USD');
}

/** A decimal string with two to six decimals, such as `0.50` or `0.001234`. */
export function fromMicroUsd(microUsd: bigint): string {
  const text = fromUnits(microUsd, 6);
  return text.replace(/(\.\d\d\d*?)0+$/, '$1');
}

/** Minor units of a decimal string: `('20.00', 'EUR')` is 2000; throws a `TypeError` that names the text. */
export function toAmount(decimal: string, currency: string): Amount {
  const minor = Number(toUnits(decimal, decimalsOf(currency), currency));
  if (!Number.isSafeInteger(minor)) throw new TypeError(`"${decimal}" ${currency} is too large`);
  return { minor, currency };
}

/** The amount as people read it, the same on every machine: `EUR 20.00`, `JPY 500`. */
export function formatAmount(amount: Amount): string {
  const { minor, currency } = amount;
  if (!Number.isSafeInteger(minor)) {
    throw new TypeError(
      `${minor} is not an amount in minor units of ${currency}: use a safe integer`,
    );
  }
  return `${currency} ${fromUnits(BigInt(minor), decimalsOf(currency))}`;
}

/** ISO 4217 currencies whose minor unit is not a hundredth. */
const DECIMALS: Readonly<Record<string, number>> = {
  ...toDecimals(0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'),
  ...toDecimals(3, 'BHD IQD JOD KWD LYD OMR TND'),
  ...toDecimals(4, 'CLF UYW'),
};

function toDecimals(decimals: number, codes: string): Record<string, number> {
  return Object.fromEntries(codes.split(' ').map((code) => [code, decimals]));
}

function decimalsOf(currency: string): number {
  if (!/^[A-Z]{3}$/.test(currency)) {
    throw new TypeError(`"${currency}" is not a currency: write its ISO 4217 code, as in "EUR"`);
  }
  return DECIMALS[currency] ?? 2;
}

function toUnits(decimal: string, decimals: number, currency: string): bigint {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(decimal);
  const fraction = match?.[2] ?? '';
  if (!match || fraction.length > decimals) {
    const form = `digits with at most ${decimals} decimals`;
    throw new TypeError(`"${decimal}" is not an amount in ${currency}: write ${form}`);
  }
  return BigInt(`${match[1]}${fraction.padEnd(decimals, '0')}`);
}

function fromUnits(units: bigint, decimals: number): string {
  const sign = units < 0n ? '-' : '';
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, '0');
  if (decimals === 0) return `${sign}${digits}`;
  const point = digits.length - decimals;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}
