// What a tool's own code says of a call, its identity and its amount: judged before it is believed.
import { inspect } from 'node:util';
import { ApplicationFailure } from '@temporalio/common';
import { FailureType } from '../../domain/rules/failure.ts';
import { type Amount, formatAmount } from '../../domain/rules/money.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { fingerprint } from '../effects/fingerprint.ts';
import { toStorable } from '../ledger/storable.ts';

export interface CallTerms {
  readonly identityHash: string | null;
  readonly amount: Amount | null;
  /** One line for the UI and the inbox, such as `pay_invoice INV-7 · EUR 20.00 · keyed`. */
  readonly summary: string;
}

/** Throws a non-retryable `Code.Invalid` that names tool and function: the same code would say the same again. */
export function judgeTerms(tool: AnyTool, input: unknown): CallTerms {
  const identity = readIdentity(tool, input);
  const amount = readAmount(tool, input);
  const last = identity?.parts.at(-1);
  const what = last === undefined ? tool.name : `${tool.name} ${last}`;
  const money = amount ? [formatAmount(amount)] : [];
  return {
    identityHash: identity?.hash ?? null,
    amount,
    summary: toLine([what, ...money, tool.contract].join(' · ')),
  };
}

const LINE_MAX = 120;

/** So much of a line as the UI and the inbox show; one that ends in half of a surrogate pair could not be stored. */
export function toLine(text: string): string {
  return toStorable(text.slice(0, LINE_MAX));
}

/** A mistake in the user's code. */
export function codeInvalid(where: string, what: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `${where} ${what}. Correct it and deploy, then \`pawl resume\` the run.`,
    FailureType.CodeInvalid,
  );
}

interface Identity {
  readonly parts: readonly (string | number)[];
  readonly hash: string;
}

function readIdentity(tool: AnyTool, input: unknown): Identity | undefined {
  const { identity } = tool.declaration;
  if (!identity) return undefined;
  return ask(tool, 'identity', () => identity(input), readParts);
}

function readParts(given: unknown): Identity | string {
  if (!Array.isArray(given)) return 'an identity is a list of texts and numbers';
  const parts = [...(given as unknown[])];
  // A hole or a NaN would make two intentions one.
  const odd = parts.findIndex((part) => typeof part !== 'string' && !Number.isFinite(part));
  if (odd >= 0) return `part ${odd} of an identity must be a text or a finite number`;
  return { parts: parts as (string | number)[], hash: fingerprint(parts) };
}

function readAmount(tool: AnyTool, input: unknown): Amount | null {
  const { amount } = tool.declaration;
  return amount ? ask(tool, 'amount', () => amount(input), toAmount) : null;
}

function toAmount(given: unknown): Amount | string {
  const { minor, currency } = (given ?? {}) as Partial<Amount>;
  if (!Number.isSafeInteger(minor) || (minor as number) < 0) {
    return '`minor` must be a whole number of minor units (cents), from 0 to 2^53';
  }
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) {
    return '`currency` must be an ISO 4217 code in capitals, as in "EUR"';
  }
  return { minor: minor as number, currency };
}

/** Asks one function of a tool; `read` says what it answered, or in words why that is none. */
function ask<T extends object>(
  { name }: AnyTool,
  what: 'identity' | 'amount',
  call: () => unknown,
  read: (given: unknown) => T | string,
): T {
  const where = `Tool "${name}": \`${what}\``;
  let given: unknown;
  let answer: T | string;
  try {
    given = call();
    answer = isPromise(given) ? 'it may not be asynchronous' : read(given);
  } catch (error) {
    throw codeInvalid(where, `threw ${describeThrown(error)}`);
  }
  if (typeof answer !== 'string') return answer;
  throw codeInvalid(where, `returned ${spell(given)}: ${answer}`);
}

/** A rejection that nobody waits for would end the worker. */
function isPromise(given: unknown): boolean {
  if (!(given instanceof Promise)) return false;
  given.catch(() => undefined);
  return true;
}

const SPELT_MAX = 200;

function spell(given: unknown): string {
  try {
    const options = { depth: 2, breakLength: Infinity, customInspect: false, maxStringLength: 80 };
    return inspect(given, options).slice(0, SPELT_MAX);
  } catch {
    return 'a value that cannot be shown';
  }
}
