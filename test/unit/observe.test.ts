// What observations make of an effect: words about an earlier send prove nothing about a later one.
import { describe, expect, it } from '@jest/globals';
import { type Fact, INTENDED } from '../../domain/rules/effect.ts';
import { type FactEntry, observe, type Observed } from '../../domain/rules/observe.ts';
import { guarantee } from '../guarantee.ts';
import { FACTS } from './effect-facts.ts';

type Before = Observed & { readonly fence: number; readonly identityHash: string | null };

const sentTwice: Before = {
  state: { ...INTENDED, status: 'dispatched', sends: 2 },
  output: null,
  outputProblem: null,
  sameAs: null,
  reference: null,
  holdsIdentity: true,
  identityHash: 'h',
  fence: 2,
};

const of = (fact: Fact, fence?: number): FactEntry => ({
  fact,
  ...(fence === undefined ? {} : { fence }),
});
const statusAfter = (...entries: readonly FactEntry[]): string =>
  observe(sentTwice, entries, true).after.state.status;

describe('words about an earlier send', () => {
  guarantee('law-04-facts', 'its refusal while a later one is out → still dispatched', () => {
    expect(statusAfter(of(FACTS.refused, 1))).toBe('dispatched');
    expect(statusAfter(of(FACTS.refused, 2))).toBe('refused');
  });

  it('its refusal when it was the only send → refused', () => {
    const sentOnce = { ...sentTwice, state: { ...sentTwice.state, sends: 1 } };
    expect(observe(sentOnce, [of(FACTS.refused, 1)], true).after.state.status).toBe('refused');
  });

  guarantee('law-04-facts', 'a look from before the last send → does not count as absent', () => {
    const { after } = observe(sentTwice, [of(FACTS.probed_absent, 1)], true);
    expect(after.state.absents).toBe(0);
    expect(observe(sentTwice, [of(FACTS.probed_absent, 2)], true).after.state.absents).toBe(1);
  });

  guarantee('law-04-facts', 'its doubt while a later one is out → still dispatched', () => {
    expect(statusAfter(of(FACTS.doubted, 1))).toBe('dispatched');
    expect(statusAfter(of(FACTS.doubted, 2))).toBe('in_doubt');
    const sentOnce = { ...sentTwice, state: { ...sentTwice.state, sends: 1 } };
    expect(observe(sentOnce, [of(FACTS.doubted, 1)], true).after.state.status).toBe('in_doubt');
  });

  guarantee('law-04-facts', 'its answer, however late → applied', () => {
    expect(statusAfter(of(FACTS.applied, 1))).toBe('applied');
  });

  it('words of people and callbacks carry no fence → they count', () => {
    expect(statusAfter(of({ ...FACTS.refused, source: 'human' }))).toBe('refused');
  });
});

describe('what hangs on the state', () => {
  it('an ambiguous answer of the last permit → its lease ends now; of an older one → it stays', () => {
    expect(observe(sentTwice, [of(FACTS.ambiguous, 2)], true).leaseMs).toBe(0);
    expect(observe(sentTwice, [of(FACTS.ambiguous, 1)], true).leaseMs).toBeUndefined();
  });

  it('"still at work on the first one" → the lease stays: the last send waits for its end', () => {
    const busy = { kind: 'ambiguous', reason: 'HTTP 409', isAtWork: true } as const;
    expect(observe(sentTwice, [of(busy, 2)], true).leaseMs).toBeUndefined();
  });

  it('accepted → the lease lasts as long as the receiver may take; its name is kept', () => {
    const { after, leaseMs } = observe(sentTwice, [of(FACTS.pending, 2)], true);
    expect([leaseMs, after.reference, after.state.isPending]).toEqual([60_000, 'job_1', true]);
  });

  it('applied twice → the first output stands', () => {
    const first = observe(sentTwice, [of(FACTS.applied, 2)], true);
    const second = { ...FACTS.applied, output: { id: 'other' } };
    const again = observe({ ...sentTwice, ...first.after }, [of(second, 2)], true);
    expect(again.after.output).toEqual({ id: 'tr_1' });
    expect([first.becameDefinite, again.becameDefinite]).toEqual([true, false]);
  });

  it('the outcome of another effect → its identity is not taken: it is that one’s', () => {
    const adopting = { ...sentTwice, state: INTENDED, holdsIdentity: false };
    const details = { sameAs: 'ef_1' };
    const { after } = observe(adopting, [{ ...of(FACTS.applied), details }], true);
    expect(after).toMatchObject({ sameAs: 'ef_1', holdsIdentity: false });
  });

  it('refused → the identity is free; applied without a permit → taken, unless another holds it', () => {
    expect(observe(sentTwice, [of(FACTS.refused, 2)], true).after.holdsIdentity).toBe(false);
    const unheld = { ...sentTwice, holdsIdentity: false };
    expect(observe(unheld, [of(FACTS.applied, 2)], true).after.holdsIdentity).toBe(true);
    expect(observe(unheld, [of(FACTS.applied, 2)], false).after.holdsIdentity).toBe(false);
  });
});

describe('a tool that refuses before it writes, behind the back of a later send', () => {
  guarantee('law-04-facts', 'one send left, the later one → nothing is proven by it', () => {
    const later = { ...sentTwice, state: { ...sentTwice.state, sends: 1 } };
    const word = of({ ...FACTS.refused, source: 'engine' }, 1);
    expect(observe(later, [word], true).after.state.status).toBe('dispatched');
  });
});
