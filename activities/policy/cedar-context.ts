// What a Cedar policy sees of a call: the request as Cedar's values, which know neither floats nor null.
import type { CedarValueJson, Context } from '@cedar-policy/cedar-wasm/nodejs';
import type { Json } from '../../domain/rules/json.ts';
import type { PolicyRequest } from '../../domain/rules/policy.ts';

/**
 * The context of a request: `tenant`, `agent`, `tool`, `contract`, `runKey`, `tainted`, `arguments`, and when there are
 * any `amountMinor`, `currency` and `requester`. Arguments become Cedar values so:
 * - strings, booleans and objects as they are; arrays as sets (unordered, without duplicates);
 * - whole numbers up to 2^53 as Long; any other number as its decimal text (`1.5` is `"1.5"`);
 * - `null` is left out: write `context.arguments has payee` first;
 * - arguments that are not an object stand under `arguments.value`;
 * - a name with two leading underscores gets `escaped:` in front, because Cedar reads `__entity` and `__extn` as
 *   references, and a model must not be able to write one.
 */
export function toCedarContext(request: PolicyRequest): Context {
  const { amount, requester } = request;
  return {
    tenant: request.tenant,
    agent: request.agent,
    tool: request.tool,
    contract: request.contract,
    runKey: request.runKey,
    tainted: request.isTainted,
    arguments: toRecord(request.arguments),
    ...(amount ? { amountMinor: toLong(amount.minor), currency: amount.currency } : {}),
    ...(requester !== undefined ? { requester } : {}),
  };
}

function toRecord(value: Json): CedarValueJson {
  const converted = toValue(value);
  if (converted === undefined) return {};
  const isRecord = typeof converted === 'object' && !Array.isArray(converted);
  return isRecord ? converted : { value: converted };
}

function toValue(value: Json): CedarValueJson | undefined {
  if (value === null) return undefined;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : String(value);
  if (typeof value !== 'object') return value;
  if (isList(value)) return value.map(toValue).filter((item) => item !== undefined);
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, item]) => {
      const converted = toValue(item);
      return converted === undefined ? [] : [[toName(name), converted]];
    }),
  );
}

function toName(name: string): string {
  return name.startsWith('__') ? `escaped:${name}` : name;
}

function toLong(minor: number): number {
  if (Number.isSafeInteger(minor)) return minor;
  throw new TypeError(`the amount ${minor} is not a whole number of minor units`);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
