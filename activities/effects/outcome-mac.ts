// Signs outcomes that travel through Temporal's history while the ledger is down, so that nobody else can write one.
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Unrecorded } from '../../domain/rules/effect-outcome.ts';
import type { Fact } from '../../domain/rules/effect.ts';
import { canonicalJson, toJson } from './fingerprint.ts';

/** HMAC-SHA-256 in hex, under a key of its own from the ledger's secret, over tenant, effect, fence and outcome. */
export function outcomeMac(
  secret: Buffer,
  tenant: string,
  { effect, facts, fence, outputProblem }: Omit<Unrecorded, 'mac'>,
): string {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'pawl outcome 1', 32));
  const said = [effect, fence ?? null, outputProblem ?? null, facts];
  const signed = toJson(['pawl outcome', 1, tenant, ...said]);
  return createHmac('sha256', key).update(canonicalJson(signed)).digest('hex');
}

/** Whether a worker of this ledger has signed it, and it is something that one attempt to send can know. */
export function isSigned(secret: Buffer, tenant: string, outcome: Unrecorded): boolean {
  const { mac, fence, facts } = outcome;
  if (typeof mac !== 'string' || !Number.isSafeInteger(fence) || !facts.every(isHeard))
    return false;
  const expected = Buffer.from(outcomeMac(secret, tenant, outcome), 'hex');
  const given = Buffer.from(mac, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** What a receiver says to the attempt itself: never a human's word, a probe's, or that nothing was sent. */
function isHeard(fact: Fact): boolean {
  if (fact.kind === 'pending') return true;
  return (fact.kind === 'applied' || fact.kind === 'refused') && fact.source === 'response';
}
