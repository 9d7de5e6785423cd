// What observations make of an effect: the fold of its facts and what hangs on it; shared by every ledger.
import { type EffectState, type Fact, foldFact, isSettled } from './effect.ts';
import type { Json } from './json.ts';

/** A fact with what the audit needs beside it. */
export interface FactEntry {
  readonly fact: Fact;
  readonly attempt?: number;
  readonly fence?: number;
  /** Why the output does not match the tool's schema. */
  readonly outputProblem?: string;
  readonly details?: Readonly<Record<string, Json>>;
}

/** What facts decide about an effect. */
export interface Observed {
  readonly state: EffectState;
  readonly output: Json;
  /** Why the output does not match the tool's schema; the effect is applied all the same. */
  readonly outputProblem: string | null;
  /** The effect that had already done this; its outcome is this one's. */
  readonly sameAs: string | null;
  /** The receiver's own name for what it has accepted and not done yet. */
  readonly reference: string | null;
  readonly holdsIdentity: boolean;
}

export interface Observation {
  readonly after: Observed;
  /** The lease ends so long from now: 0 when its holder has stopped waiting; undefined: it stays. */
  readonly leaseMs: number | undefined;
  /** The outcome has just become definite: the run's sequence rises. */
  readonly becameDefinite: boolean;
  /** The last word is that the receiver could not be asked. */
  readonly isLookFailing: boolean;
  /** It became definite while no attempt was at work on it: its workflow waits, and has to be signalled. */
  readonly isNews: boolean;
}

/** The effect after the entries, in order. `isIdentityFree`: no other effect holds this one's identity. */
export function observe(
  before: Observed & { readonly fence: number; readonly identityHash: string | null },
  entries: readonly FactEntry[],
  isIdentityFree: boolean,
): Observation {
  const state = entries.reduce(
    (folded, entry) => foldEntry(folded, entry, before.fence),
    before.state,
  );
  const becameDefinite = !isSettled(before.state.status) && isSettled(state.status);
  // The first applied outcome stands: what a workflow was told once, it is told for ever.
  const applied = before.state.status === 'applied' ? undefined : firstApplied(entries);
  const sameAs = before.sameAs ?? sameAsOf(entries);
  // What another effect did is that one's identity, and free again when that is undone.
  const mayTake = before.identityHash !== null && sameAs === null && isIdentityFree;
  return {
    after: {
      state,
      output: applied?.fact.output ?? before.output,
      outputProblem: applied?.outputProblem ?? before.outputProblem,
      sameAs,
      reference: before.reference ?? referenceOf(entries),
      holdsIdentity:
        keepsIdentity(state) && (before.holdsIdentity || (mayTake && takesIdentity(state))),
    },
    leaseMs: leaseAfter(before.fence, entries, state),
    becameDefinite,
    isLookFailing: isLookFailing(entries),
    isNews: becameDefinite && (isWaitedFor(before.state) || entries.some(isFromOutside)),
  };
}

function isLookFailing(entries: readonly FactEntry[]): boolean {
  const last = entries.at(-1)?.fact;
  return last?.kind === 'probed_unclear' && last.hasFailed === true;
}

function isWaitedFor({ status, isPending }: EffectState): boolean {
  return status === 'in_doubt' || isPending === true;
}

/** Heard by somebody else than the attempt that has sent it. */
function isFromOutside({ fact }: FactEntry): boolean {
  return 'source' in fact && fact.source !== 'response' && fact.source !== 'engine';
}

/** The state after one entry. `last`: the fence of the last permit; what was said of an earlier send is not said of it. */
function foldEntry(state: EffectState, entry: FactEntry, last: number): EffectState {
  return isOutdated(state, entry, last) ? state : foldFact(state, entry.fact);
}

/** The refusal or doubt of one send, or a look from before the last one: kept, and no word on the last one. */
function isOutdated({ sends }: EffectState, { fact, fence }: FactEntry, last: number): boolean {
  if (fence === undefined || fence >= last) return false;
  if (fact.kind === 'probed_absent') return true;
  if (fact.kind === 'doubted') return sends > 1;
  if (fact.kind !== 'refused') return false;
  // The engine's own: a tool that refused before it wrote, and knew nothing of the later send.
  return fact.source === 'engine' || (fact.source === 'response' && sends > 1);
}

/** Without a permit, too: what was written by other means, or is known as applied after all, happened. */
function takesIdentity({ status }: EffectState): boolean {
  return status === 'in_doubt' || status === 'applied';
}

function keepsIdentity({ status }: EffectState): boolean {
  return status !== 'refused' && status !== 'intended';
}

type AppliedEntry = FactEntry & { readonly fact: Extract<Fact, { kind: 'applied' }> };

function firstApplied(entries: readonly FactEntry[]): AppliedEntry | undefined {
  return entries.find((entry): entry is AppliedEntry => entry.fact.kind === 'applied');
}

function sameAsOf(entries: readonly FactEntry[]): string | null {
  const named = entries.find(({ details }) => details?.['sameAs'] !== undefined);
  return (named?.details?.['sameAs'] as string | undefined) ?? null;
}

function referenceOf(entries: readonly FactEntry[]): string | null {
  for (const { fact } of entries) {
    if (fact.kind === 'pending' && fact.reference !== null) return fact.reference;
  }
  return null;
}

/** The holder of the claim says that it has stopped waiting, or the receiver says for how long it will be at work. */
function leaseAfter(
  fence: number,
  entries: readonly FactEntry[],
  state: EffectState,
): number | undefined {
  let leaseMs: number | undefined;
  for (const entry of entries) {
    const { fact } = entry;
    const hasStopped = fact.kind === 'ambiguous' && !fact.isAtWork && entry.fence === fence;
    if (hasStopped && !state.isPending) leaseMs = 0;
    if (fact.kind === 'pending' && state.isPending) leaseMs = fact.withinMs;
  }
  return leaseMs;
}
