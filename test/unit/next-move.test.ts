// What may be done with an effect now: every contract, state, lease, horizon and count of absents; nothing is left out.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Contract } from '../../domain/rules/contract.ts';
import { EffectStatus } from '../../domain/rules/effect.ts';
import {
  ABSENTS_NEEDED,
  type EffectView,
  type Move,
  nextMove,
  RETENTION_SHARE,
  SETTLE_WINDOW_MS,
} from '../../domain/rules/next-move.ts';
import { checkProperty } from './support-properties.ts';
import { guarantee } from '../guarantee.ts';

const SENT_AT = 1_000_000;
const LEASE = SENT_AT + 30_000;
const SETTLED = LEASE + SETTLE_WINDOW_MS;
const RETENTION = 3_600_000;
const HORIZON = SENT_AT + RETENTION * RETENTION_SHARE;
const SENDS_MAX = 4;

interface Change {
  readonly status?: EffectStatus;
  readonly sends?: number;
  readonly absents?: number;
  readonly hasProbe?: boolean;
  readonly isPending?: true;
}

/** A dispatched effect of a contract, as the ledger would hold it. */
function view(contract: Contract, change: Change = {}): EffectView {
  const { status = 'dispatched', sends = 1, absents = 0 } = change;
  return {
    contract,
    state: {
      status,
      sends,
      absents,
      conflict: false,
      ...(change.isPending && { isPending: true }),
    },
    firstSentAtMs: SENT_AT,
    leaseUntilMs: LEASE,
    keyRetentionMs: contract === 'keyed' ? RETENTION : undefined,
    hasProbe: change.hasProbe ?? contract === 'reconcilable',
    sendsMax: SENDS_MAX,
  };
}

/** Every status, count and moment, on both sides of every edge. */
const EVERY: readonly { readonly view: EffectView; readonly nowMs: number }[] = Object.values(
  Contract,
).flatMap((contract) =>
  [false, true].flatMap((hasProbe) =>
    Object.values(EffectStatus).flatMap((status) =>
      [0, 1, SENDS_MAX - 1, SENDS_MAX, SENDS_MAX + 1].flatMap((sends) =>
        [0, 1, 2, 3].flatMap((absents) =>
          [SENT_AT, LEASE - 1, LEASE, SETTLED - 1, SETTLED, HORIZON - 1, HORIZON].map((nowMs) => ({
            view: view(contract, { status, sends, absents, hasProbe }),
            nowMs,
          })),
        ),
      ),
    ),
  ),
);

/** The cases for which a claim does not hold; an empty list is what a test wants to see. */
function exceptions(
  isOfInterest: (view: EffectView, nowMs: number) => boolean,
  holds: (move: Move, view: EffectView, nowMs: number) => boolean,
): unknown[] {
  const cases = EVERY.filter((each) => isOfInterest(each.view, each.nowMs));
  expect(cases.length).toBeGreaterThan(0);
  return cases
    .map((each) => ({ ...each, move: nextMove(each.view, each.nowMs) }))
    .filter(({ move, view: seen, nowMs }) => !holds(move, seen, nowMs));
}

const isDispatched = ({ state }: EffectView): boolean => state.status === 'dispatched';
const isUnderKey = ({ contract }: EffectView, nowMs: number): boolean =>
  contract === 'keyed' && nowMs < HORIZON;

describe('the next move, case by case', () => {
  // case, expected, view, moment
  const cases: readonly (readonly [string, string, EffectView, number])[] = [
    ['once under a live lease', `wait ${LEASE}`, view('once'), LEASE - 1],
    ['once past its lease', 'doubt', view('once'), LEASE],
    ['once in doubt', 'return', view('once', { status: 'in_doubt' }), LEASE],
    ['keyed, at once', 'resend', view('keyed'), SENT_AT + 1],
    ['keyed, its last send, lease live', `wait ${LEASE}`, view('keyed', { sends: 3 }), LEASE - 1],
    ['keyed, its last send', 'resend', view('keyed', { sends: 3 }), LEASE],
    ['keyed, sends used, lease live', `wait ${LEASE}`, view('keyed', { sends: 4 }), SENT_AT + 1],
    ['keyed, sends used', 'doubt', view('keyed', { sends: 4 }), LEASE],
    ['keyed, sends used, probe', 'probe', view('keyed', { sends: 4, hasProbe: true }), LEASE],
    ['keyed, just inside the horizon', 'resend', view('keyed'), HORIZON - 1],
    ['keyed, at the horizon', 'doubt', view('keyed'), HORIZON],
    ['keyed, at the horizon, probe', 'probe', view('keyed', { hasProbe: true }), HORIZON],
    ['reconcilable, lease live', `wait ${LEASE}`, view('reconcilable'), LEASE - 1],
    ['reconcilable past its lease', 'probe', view('reconcilable'), LEASE],
    ['one absent', 'probe', view('reconcilable', { absents: 1 }), SETTLED],
    ['two absents', 'resend', view('reconcilable', { absents: 2 }), SETTLED],
    ['two absents, sends used', 'doubt', view('reconcilable', { absents: 2, sends: 4 }), SETTLED],
    [
      'two absents, settle window open',
      `wait ${SETTLED}`,
      view('reconcilable', { absents: 2 }),
      SETTLED - 1,
    ],
    ['reconcilable in doubt', 'probe', view('reconcilable', { status: 'in_doubt' }), SETTLED],
    [
      'transactional, committed by its tool, lease live',
      `wait ${LEASE}`,
      view('transactional'),
      SENT_AT + 1,
    ],
    ['transactional, committed by its tool', 'doubt', view('transactional'), LEASE],
    ['accepted by the receiver', `wait ${LEASE}`, view('keyed', { isPending: true }), LEASE - 1],
    ['accepted, probe', 'probe', view('keyed', { isPending: true, hasProbe: true }), LEASE - 1],
    [
      'accepted, no word in time',
      'doubt',
      view('keyed', { isPending: true, hasProbe: true }),
      LEASE,
    ],
  ];

  it.each(cases)('%s → %s', (_name, expected, seen, nowMs) => {
    const move = nextMove(seen, nowMs);
    expect(move.kind === 'wait' ? `wait ${move.untilMs}` : move.kind).toBe(expected);
  });

  it('every doubt says why, in words', () => {
    expect(nextMove(view('once'), LEASE)).toEqual({
      kind: 'doubt',
      reason: 'sent, no definite answer, and the receiver offers nothing to ask',
    });
    expect(nextMove(view('keyed'), HORIZON)).toEqual({
      kind: 'doubt',
      reason: 'sent, no definite answer, and the receiver no longer honours the key',
    });
    expect(nextMove(view('keyed', { sends: 4 }), LEASE)).toEqual({
      kind: 'doubt',
      reason: 'no definite answer after 4 sends',
    });
  });
});

describe('the next move, in every case', () => {
  it('settled → the recorded outcome, whatever the clock says', () => {
    const isSettled = ({ state }: EffectView): boolean =>
      ['applied', 'refused'].includes(state.status);
    expect(exceptions(isSettled, ({ kind }) => kind === 'return')).toEqual([]);
  });

  it('never sent → a first send', () => {
    const isIntended = ({ state }: EffectView): boolean => state.status === 'intended';
    expect(exceptions(isIntended, ({ kind }) => kind === 'send')).toEqual([]);
  });

  it('only an effect that was never sent gets a first send', () => {
    const wasSent = ({ state }: EffectView): boolean => state.status !== 'intended';
    expect(exceptions(wasSent, ({ kind }) => kind !== 'send')).toEqual([]);
  });

  guarantee('F-05', 'once → never resent, not even with a probe', () => {
    const isOnce = ({ contract }: EffectView): boolean => contract === 'once';
    expect(exceptions(isOnce, ({ kind }) => kind !== 'resend')).toEqual([]);
  });

  it('in doubt → never resent: a human settles it, or a probe', () => {
    const isInDoubt = ({ state }: EffectView): boolean => state.status === 'in_doubt';
    const looks = ({ kind }: Move, { hasProbe }: EffectView): boolean =>
      kind === (hasProbe ? 'probe' : 'return');
    expect(exceptions(isInDoubt, looks)).toEqual([]);
  });

  guarantee('S2-08', 'keyed with nothing to ask → resent inside the horizon only', () => {
    const isKeyedOnly = (seen: EffectView): boolean =>
      isDispatched(seen) && seen.contract === 'keyed' && !seen.hasProbe;
    const holds = ({ kind }: Move, _: EffectView, nowMs: number): boolean =>
      kind !== 'resend' || nowMs < HORIZON;
    expect(exceptions(isKeyedOnly, holds)).toEqual([]);
  });

  guarantee(
    'law-04-facts',
    'without a live key → nothing is concluded before the lease ends',
    () => {
      const isEarly = (seen: EffectView, nowMs: number): boolean =>
        isDispatched(seen) && !isUnderKey(seen, nowMs) && nowMs < LEASE;
      const waits = (move: Move): boolean => move.kind === 'wait' && move.untilMs === LEASE;
      expect(exceptions(isEarly, waits)).toEqual([]);
    },
  );

  it('no doubt and no probe of an effect whose lease is live, keyed or not', () => {
    const isLive = (seen: EffectView, nowMs: number): boolean =>
      isDispatched(seen) && nowMs < LEASE;
    expect(exceptions(isLive, ({ kind }) => kind !== 'doubt' && kind !== 'probe')).toEqual([]);
  });

  guarantee(
    'S2-08',
    'a resend without a live key → two absents, after the settle window, within the sends',
    () => {
      const isUnkeyed = (seen: EffectView, nowMs: number): boolean =>
        isDispatched(seen) && !isUnderKey(seen, nowMs);
      const holds = ({ kind }: Move, { state, hasProbe }: EffectView, nowMs: number): boolean =>
        kind !== 'resend' ||
        (hasProbe &&
          state.absents >= ABSENTS_NEEDED &&
          nowMs >= SETTLED &&
          state.sends < SENDS_MAX);
      expect(exceptions(isUnkeyed, holds)).toEqual([]);
    },
  );

  it('no send is left → never resent', () => {
    const isUsedUp = ({ state }: EffectView): boolean =>
      state.status === 'dispatched' && state.sends >= SENDS_MAX;
    expect(exceptions(isUsedUp, ({ kind }) => kind !== 'resend')).toEqual([]);
  });

  it('a wait → always for a moment that is still to come', () => {
    const isFuture = (move: Move, _: EffectView, nowMs: number): boolean =>
      move.kind !== 'wait' || move.untilMs > nowMs;
    expect(exceptions(() => true, isFuture)).toEqual([]);
  });

  it('random views and clocks → total; time alone never turns a doubt into a send', () => {
    const views = fc.record({
      contract: fc.constantFrom(...Object.values(Contract)),
      status: fc.constantFrom(...Object.values(EffectStatus)),
      sends: fc.nat({ max: 6 }),
      absents: fc.nat({ max: 4 }),
      hasProbe: fc.boolean(),
      knowsTimes: fc.boolean(),
    });
    const clocks = fc.integer({ min: SENT_AT, max: HORIZON * 2 });
    checkProperty(
      fc.property(views, clocks, fc.nat(10_000_000), (drawn, nowMs, laterMs) => {
        const full = view(drawn.contract, drawn);
        const seen = drawn.knowsTimes
          ? full
          : { ...full, firstSentAtMs: undefined, leaseUntilMs: undefined };
        const now = nextMove(seen, nowMs).kind;
        const later = nextMove(seen, nowMs + laterMs).kind;
        return now !== 'doubt' || later === 'doubt';
      }),
    );
  });
});
