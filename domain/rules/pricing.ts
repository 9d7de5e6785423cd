// What a model call costs: a dated price table as data, and integer arithmetic over it. Never a guess.
import { toMicroUsd } from './money.ts';
import type { Usage } from './transcript.ts';

/** USD per million tokens, as decimal strings; `input` is what neither came from nor went to a cache. */
export interface TokenPrices {
  readonly input: string;
  readonly cachedInput: string;
  /** Writing to the provider's cache; absent: costs the same as `input`. */
  readonly cacheWriteInput?: string | undefined;
  readonly output: string;
}

export interface ModelPrices extends TokenPrices {
  /** Some providers charge the whole call at other prices when its input is longer than this. */
  readonly longInput?: (TokenPrices & { readonly aboveInputTokens: number }) | undefined;
}

/** Prices by `provider/model`. */
export interface PriceTable {
  /** Stored beside every cost, so that an old figure can be explained. */
  readonly version: string;
  readonly models: Readonly<Record<string, ModelPrices>>;
}

/**
 * List prices as published on the date in `version`, standard tier. Providers change them without
 * notice and your contract may differ: override with `withPrices`. Models with a tariff that this
 * table cannot express are left out on purpose.
 */
export const PRICES: PriceTable = {
  version: '2026-11-20',
  models: {
    'anthropic/claude-opus-5-5': claude('4.00', '0.20', '5.00', '20.00'),
    'anthropic/claude-opus-5': claude('5.00', '0.50', '6.25', '25.00'),
    'anthropic/claude-opus-4-8': claude('5.00', '0.50', '6.25', '25.00'),
    'anthropic/claude-opus-4-6': claude('5.00', '0.50', '6.25', '25.00'),
    'anthropic/claude-sonnet-5-5': claude('2.00', '0.10', '2.50', '10.00'),
    'anthropic/claude-sonnet-4-5': claude('3.00', '0.30', '3.75', '15.00'),
    'anthropic/claude-haiku-5-5': {
      ...claude('0.10', '0.01', '0.125', '0.50'),
      longInput: { aboveInputTokens: 100_000, ...claude('0.50', '0.05', '0.625', '2.50') },
    },
    'anthropic/claude-haiku-4-5': claude('1.00', '0.10', '1.25', '5.00'),
    'openai/gpt-5.6-terra': {
      ...gpt('2.00', '0.20', '12.00'),
      longInput: { aboveInputTokens: 272_000, ...gpt('4.00', '0.40', '18.00') },
    },
    'openai/gpt-5.6-luna': {
      ...gpt('0.20', '0.02', '1.20'),
      longInput: { aboveInputTokens: 272_000, ...gpt('0.40', '0.04', '1.80') },
    },
    'openai/gpt-5.2': gpt('1.75', '0.175', '14.00'),
    'openai/gpt-5': gpt('1.25', '0.125', '10.00'),
    'openai/gpt-5-mini': gpt('0.25', '0.025', '2.00'),
  },
};

/** The table with some models replaced or added; the version says that it was changed. */
export function withPrices(
  table: PriceTable,
  models: Readonly<Record<string, ModelPrices>>,
  version = `${table.version}+custom`,
): PriceTable {
  return { version, models: { ...table.models, ...models } };
}

/** A cost, or the honest statement that there is no price. */
export type Cost =
  | { readonly isKnown: true; readonly microUsd: number; readonly tableVersion: string }
  | { readonly isKnown: false; readonly microUsd: undefined; readonly tableVersion: string };

/**
 * What a call cost in whole micro-USD, rounded up. `model` is `provider/model`; a dated snapshot
 * (`…-20250929`, `…-2025-08-07`) has its model's price. An unknown model has no cost, not zero.
 */
export function costMicroUsd(usage: Usage, model: string, table: PriceTable = PRICES): Cost {
  const { version: tableVersion } = table;
  const prices = pricesOf(model, table);
  if (!prices) return { isKnown: false, microUsd: undefined, tableVersion };
  const { longInput } = prices;
  const isLong = longInput !== undefined && usage.inputTokens > longInput.aboveInputTokens;
  return { isKnown: true, microUsd: sum(usage, isLong ? longInput : prices), tableVersion };
}

/** Whether a call to the model (`provider/model`) has a known cost. */
export function isPriced(model: string, table: PriceTable): boolean {
  return pricesOf(model, table) !== undefined;
}

function pricesOf(model: string, table: PriceTable): ModelPrices | undefined {
  const undated = model.replace(/-(\d{8}|\d{4}-\d{2}-\d{2})$/, '');
  const key = [model, undated].find((name) => Object.hasOwn(table.models, name));
  return key === undefined ? undefined : table.models[key];
}

function sum(usage: Usage, prices: TokenPrices): number {
  const cached = usage.cachedInputTokens;
  const written = usage.cacheWriteInputTokens ?? 0;
  const plain = Math.max(0, usage.inputTokens - cached - written);
  const perMillion =
    BigInt(plain) * toMicroUsd(prices.input) +
    BigInt(cached) * toMicroUsd(prices.cachedInput) +
    BigInt(written) * toMicroUsd(prices.cacheWriteInput ?? prices.input) +
    BigInt(usage.outputTokens) * toMicroUsd(prices.output);
  return Number((perMillion + 999_999n) / 1_000_000n);
}

function claude(
  input: string,
  cachedInput: string,
  cacheWriteInput: string,
  output: string,
): TokenPrices {
  return { input, cachedInput, cacheWriteInput, output };
}

function gpt(input: string, cachedInput: string, output: string): TokenPrices {
  return { input, cachedInput, output };
}
