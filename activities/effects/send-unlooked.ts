// A first send on the record that this process has just stored, without a look at the ledger: whatever may have changed
// since is asked by the permit itself.
import type { EffectRecord } from '../ledger/effect-ledger.ts';
import { attemptSend, isOfAttempt, type SendAnswer } from './attempt-send.ts';
import { toWarrant } from './gate.ts';
import { type EffectJob, type EngineDeps, neverGivenUp, strayOf } from './effect-job.ts';

export interface Unlooked {
  /** The effect as it was stored. */
  readonly record: EffectRecord;
  /** Unless it is `observed`, the tool ended before it asked: its word counts where a look would have let it run. */
  readonly answer: Exclude<SendAnswer, { kind: 'denied' }>;
}

/** Undefined when it must be looked at first. Throws what is no word of the tool. */
export async function sendUnlooked(
  deps: EngineDeps,
  { tool, stored, expects, claim, authority, seqSeen, isGivenUp = neverGivenUp }: EffectJob,
): Promise<Unlooked | undefined> {
  // A limit counts under a lock, and rows of a transaction are under one, too.
  if (!stored || tool.callsPerRunMax !== undefined || tool.contract === 'transactional') {
    return undefined;
  }
  if (strayOf({ expects }, stored) !== undefined) return undefined;
  // Whoever is to be asked, or told no, is so behind a look.
  const verdict = await authority?.evaluate(stored);
  if (verdict && verdict.kind !== 'permit') return undefined;
  const warrant = authority && verdict && toWarrant(authority, verdict);
  const asked = { tool, record: stored, claim, warrant, asStored: { seqSeen }, isGivenUp };
  const answer = await attemptSend(deps, { ...asked, ignoresIdentity: false });
  if (answer.kind === 'denied') return undefined;
  if (answer.kind === 'unsent' && isOfAttempt(answer.error)) throw answer.error;
  return { record: stored, answer };
}

/** What the tool said before it asked for a permit; undefined once anything has changed about the effect. */
export function wordOn(
  record: EffectRecord,
  unlooked: Unlooked | undefined,
): SendAnswer | undefined {
  if (!unlooked || unlooked.answer.kind === 'observed') return undefined;
  const { version, fence } = unlooked.record;
  return record.version === version && record.fence === fence ? unlooked.answer : undefined;
}
