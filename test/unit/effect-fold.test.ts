// The fold of an effect's facts: every state with every fact as a literal table, and what holds for every sequence.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type EffectState,
  type EffectStatus,
  type Fact,
  type FactKind,
  foldFact,
  INTENDED,
  isSettled,
} from '../../domain/rules/effect.ts';
import { anyFact, FACTS, isPossible } from './effect-facts.ts';
import { checkProperty } from './support-properties.ts';
import { guarantee } from '../guarantee.ts';

const STATES: { readonly [S in EffectStatus]: EffectState } = {
  intended: INTENDED,
  dispatched: { status: 'dispatched', sends: 1, absents: 0, conflict: false },
  applied: { status: 'applied', sends: 1, absents: 0, conflict: false },
  refused: { status: 'refused', sends: 1, absents: 0, conflict: false, code: 'x', reason: 'y' },
  in_doubt: { status: 'in_doubt', sends: 1, absents: 0, conflict: false, reason: 'z' },
};

/** `status sends absents`, `pending`, a `!` for a conflict, and the code. */
function shown({ status, sends, absents, isPending, conflict, code }: EffectState): string {
  return `${status} ${sends} ${absents}${isPending ? ' pending' : ''}${conflict ? ' !' : ''}${code ? ` ${code}` : ''}`;
}

const THROWS = 'throws';
const TABLE: Readonly<Record<EffectStatus, Readonly<Record<FactKind, string>>>> = {
  intended: {
    intended: 'intended 0 0',
    dispatched: 'dispatched 1 0',
    not_sent: 'intended 0 0',
    ambiguous: 'intended 0 0',
    pending: 'intended 0 0',
    applied: 'applied 0 0',
    refused: 'refused 0 0 card_declined',
    probed_absent: 'intended 0 1',
    probed_unclear: 'intended 0 0',
    doubted: 'in_doubt 0 0',
    withdrawn: 'refused 0 0 cancelled',
  },
  dispatched: {
    intended: 'dispatched 1 0',
    dispatched: 'dispatched 2 0',
    not_sent: 'intended 0 0',
    ambiguous: 'dispatched 1 0',
    pending: 'dispatched 1 0 pending',
    applied: 'applied 1 0',
    refused: 'refused 1 0 card_declined',
    probed_absent: 'dispatched 1 1',
    probed_unclear: 'dispatched 1 0',
    doubted: 'in_doubt 1 0',
    withdrawn: 'dispatched 1 0',
  },
  applied: {
    intended: 'applied 1 0',
    dispatched: THROWS,
    not_sent: 'applied 0 0',
    ambiguous: 'applied 1 0',
    pending: 'applied 1 0',
    applied: 'applied 1 0',
    refused: 'applied 1 0 !',
    probed_absent: 'applied 1 0',
    probed_unclear: 'applied 1 0',
    doubted: 'applied 1 0',
    withdrawn: 'applied 1 0',
  },
  refused: {
    intended: 'refused 1 0 x',
    dispatched: THROWS,
    not_sent: 'refused 0 0 x',
    ambiguous: 'refused 1 0 x',
    pending: 'refused 1 0 x',
    applied: 'applied 1 0 !',
    refused: 'refused 1 0 card_declined',
    probed_absent: 'refused 1 0 x',
    probed_unclear: 'refused 1 0 x',
    doubted: 'refused 1 0 x',
    withdrawn: 'refused 1 0 x',
  },
  in_doubt: {
    intended: 'in_doubt 1 0',
    dispatched: 'dispatched 2 0',
    not_sent: 'in_doubt 0 0',
    ambiguous: 'in_doubt 1 0',
    pending: 'in_doubt 1 0',
    applied: 'applied 1 0',
    refused: 'refused 1 0 card_declined',
    probed_absent: 'in_doubt 1 1',
    probed_unclear: 'in_doubt 1 0',
    doubted: 'in_doubt 1 0',
    withdrawn: 'in_doubt 1 0',
  },
};

const rows = Object.entries(TABLE).flatMap(([status, facts]) =>
  Object.entries(facts).map(([kind, next]) => [status, kind, next] as const),
);

/** Folds a sequence, leaving out the dispatches that no ledger would grant; keeps every state on the way. */
function walk(facts: readonly Fact[]): readonly (readonly [EffectState, Fact, EffectState])[] {
  let state = INTENDED;
  return facts.flatMap((fact) => {
    if (!isPossible(state, fact)) return [];
    const before = state;
    state = foldFact(state, fact);
    return [[before, fact, state] as const];
  });
}

const sequences = fc.array(anyFact, { maxLength: 30 });

describe('the fold of an effect', () => {
  it.each(rows)('%s, then %s → %s', (status, kind, next) => {
    const fold = (): EffectState =>
      foldFact(STATES[status as EffectStatus], FACTS[kind as FactKind]);
    if (next === THROWS) expect(fold).toThrow('a settled effect may not be dispatched');
    else expect(shown(fold())).toBe(next);
  });

  it('a permit for a settled effect → an invariant violation, by name', () => {
    const error = { name: 'InvariantViolation' };
    expect(() => foldFact(STATES.applied, FACTS.dispatched)).toThrow(
      expect.objectContaining(error),
    );
  });

  guarantee(
    'law-04-facts',
    'a doubt, then the late answer → applied, with no reason left over',
    () => {
      expect(foldFact(STATES.in_doubt, FACTS.applied)).toEqual({ ...STATES.applied });
    },
  );

  it('two sends, one proven unsent → still dispatched: the other one may have arrived', () => {
    const twice = foldFact(foldFact(INTENDED, FACTS.dispatched), FACTS.dispatched);
    expect(shown(foldFact(twice, FACTS.not_sent))).toBe('dispatched 1 0');
  });

  it('an absent, then a new send → the count starts again', () => {
    const absent = foldFact(STATES.dispatched, FACTS.probed_absent);
    expect(shown(foldFact(absent, FACTS.dispatched))).toBe('dispatched 2 0');
  });

  it('any sequence → applied is never left', () => {
    checkProperty(
      fc.property(sequences, (facts) =>
        walk(facts).every(
          ([before, , after]) => before.status !== 'applied' || after.status === 'applied',
        ),
      ),
    );
  });

  it('any sequence → a settled effect never becomes unsettled', () => {
    checkProperty(
      fc.property(sequences, (facts) =>
        walk(facts).every(
          ([before, , after]) => !isSettled(before.status) || isSettled(after.status),
        ),
      ),
    );
  });

  it('any sequence → sends and absents are whole and never negative; sends rise by a dispatch only', () => {
    checkProperty(
      fc.property(sequences, (facts) =>
        walk(facts).every(
          ([before, fact, after]) =>
            after.sends >= 0 &&
            after.absents >= 0 &&
            after.sends - before.sends <= (fact.kind === 'dispatched' ? 1 : 0),
        ),
      ),
    );
  });

  it('any sequence → withdrawn moves nothing but an effect that was never sent', () => {
    checkProperty(
      fc.property(sequences, (facts) =>
        walk(facts).every(
          ([before, fact, after]) =>
            fact.kind !== 'withdrawn' ||
            before.status === 'intended' ||
            shown(before) === shown(after),
        ),
      ),
    );
  });

  it('any sequence → intended means that no send is unaccounted for', () => {
    checkProperty(
      fc.property(sequences, (facts) =>
        walk(facts).every(([, , { status, sends }]) => status !== 'intended' || sends === 0),
      ),
    );
  });

  it('any sequence with a yes and a no of the receiver → a conflict is marked and stays', () => {
    checkProperty(
      fc.property(sequences, (facts) => {
        const steps = walk(facts);
        const kinds = steps.map(([, fact]) => fact.kind);
        const last = steps.at(-1)?.[2] ?? INTENDED;
        return !(kinds.includes('applied') && kinds.includes('refused')) || last.conflict;
      }),
    );
  });

  it('any sequence → refused always says why, applied never does', () => {
    checkProperty(
      fc.property(sequences, (facts) =>
        walk(facts).every(([, , { status, code, reason }]) =>
          status === 'refused'
            ? Boolean(code && reason)
            : status !== 'applied' || !(code ?? reason),
        ),
      ),
    );
  });
});
