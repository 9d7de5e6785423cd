// The comparison of a statement with the ledger: each kind of finding as a case, and planted discrepancies found exactly.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  compareStatement,
  type FindingKind,
  type MatchField,
  type StatementEffect,
  type StatementFinding,
  type StatementReceipt,
} from '../../domain/rules/statement.ts';
import { checkProperty } from './support-properties.ts';

const HOUR_MS = 3_600_000;
const PERIOD = { fromMs: 0, toMs: 24 * HOUR_MS };
const GRACE_MS = 60_000;

function effectOf(name: string, more: Partial<StatementEffect> = {}): StatementEffect {
  return {
    effect: name,
    wireKey: `key-${name}`,
    status: 'applied',
    isOnWire: false,
    sameAs: null,
    sends: 1,
    amountMinor: 2_000,
    currency: 'EUR',
    sentAtMs: 12 * HOUR_MS,
    doneAtMs: 12 * HOUR_MS + 500,
    references: [`ref-${name}`],
    ...more,
  };
}

function receiptOf(name: string, more: Partial<StatementReceipt> = {}): StatementReceipt {
  return {
    line: 1,
    idempotencyKey: `key-${name}`,
    reference: `ref-${name}`,
    receiptId: `tr-${name}`,
    amountMinor: 2_000,
    currency: 'EUR',
    atMs: 12 * HOUR_MS + 100,
    ...more,
  };
}

/** A receipt that only its reference tells. */
function keyless(name: string, more: Partial<StatementReceipt> = {}): StatementReceipt {
  return receiptOf(name, { idempotencyKey: undefined, ...more });
}

const BY_REFERENCE: readonly MatchField[] = ['reference'];

function compare(
  receipts: readonly StatementReceipt[],
  effects: readonly StatementEffect[],
  match: readonly MatchField[] = BY_REFERENCE,
) {
  const comparison = compareStatement({ match, graceMs: GRACE_MS });
  for (const receipt of receipts) comparison.addReceipt(receipt);
  const early = effects.flatMap((effect) => comparison.addEffect(effect, PERIOD) ?? []);
  const findings = [...early, ...comparison.finish(PERIOD)];
  return { findings, found: findings.map(shown).sort(), counts: comparison.counts() };
}

/** `kind effect receiptIds` */
function shown({ kind, effect, receipts }: StatementFinding): string {
  const ids = receipts.map(({ receiptId }) => receiptId).sort();
  return [kind, effect?.effect ?? '-', ...ids].join(' ');
}

describe('one effect and what the statement says of it', () => {
  it.each<[string, Partial<StatementEffect>, readonly StatementReceipt[], readonly string[]]>([
    ['applied, with its receipt', {}, [receiptOf('a')], []],
    ['applied, without', {}, [], ['unknown-to-receiver a']],
    [
      'applied without a send (a human said so), without',
      { sends: 0 },
      [],
      ['unknown-to-receiver a'],
    ],
    ['already applied by another, without', { sameAs: 'b', sends: 0 }, [], []],
    [
      'already applied by another, with a receipt of its own',
      { sameAs: 'b' },
      [receiptOf('a')],
      ['duplicate a tr-a'],
    ],
    ['refused, without', { status: 'refused' }, [], []],
    ['refused, with', { status: 'refused' }, [receiptOf('a')], ['refused-but-done a tr-a']],
    ['in doubt, without', { status: 'in_doubt' }, [], []],
    ['in doubt, with', { status: 'in_doubt' }, [receiptOf('a')], ['doubt-answered a tr-a']],
    ['on the wire, without', { status: 'dispatched', isOnWire: true }, [], []],
    ['on the wire, with', { status: 'dispatched', isOnWire: true }, [receiptOf('a')], []],
    ['past its lease, without', { status: 'dispatched' }, [], []],
    ['past its lease, with', { status: 'dispatched' }, [receiptOf('a')], ['doubt-answered a tr-a']],
    ['intended, without', { status: 'intended', sends: 0 }, [], []],
    [
      'intended, with',
      { status: 'intended', sends: 0 },
      [receiptOf('a')],
      ['unsent-but-done a tr-a'],
    ],
    ['of a status to come, with', { status: 'pending' }, [receiptOf('a')], []],
    [
      'two receipts',
      {},
      [receiptOf('a'), receiptOf('a', { receiptId: 'tr-2' })],
      ['duplicate a tr-2 tr-a'],
    ],
    ['one receipt that is listed twice', {}, [receiptOf('a'), receiptOf('a', { line: 2 })], []],
    ['another amount', {}, [receiptOf('a', { amountMinor: 2_001 })], ['amount-differs a tr-a']],
    ['another currency', {}, [receiptOf('a', { currency: 'USD' })], ['amount-differs a tr-a']],
    ['a currency in small letters', {}, [receiptOf('a', { currency: 'eur' })], []],
    ['no amount in the ledger', { amountMinor: null }, [receiptOf('a')], []],
    ['no amount in the statement', {}, [receiptOf('a', { amountMinor: undefined })], []],
    ['its key in quotes and capitals', {}, [receiptOf('a', { idempotencyKey: '"KEY-A"' })], []],
    ['its reference, and no key', {}, [keyless('a')], []],
    [
      'its reference under a foreign key',
      {},
      [receiptOf('a'), receiptOf('a', { idempotencyKey: 'x', receiptId: 'tr-x' })],
      ['unknown-to-ledger - tr-x'],
    ],
    [
      'in doubt, its reference under a foreign key',
      { status: 'in_doubt' },
      [receiptOf('a', { idempotencyKey: 'x' })],
      ['unknown-to-ledger - tr-a'],
    ],
    [
      'its receipt by key and one by reference',
      {},
      [receiptOf('a'), keyless('a', { receiptId: 'tr-2' })],
      ['duplicate a tr-2 tr-a'],
    ],
  ])('%s → %j', (_case, effect, receipts, expected) => {
    expect(compare(receipts, [effectOf('a', effect)]).found).toEqual(expected);
  });

  it('a receipt under a foreign key → tells whose reference it bears', () => {
    const { findings } = compare(
      [receiptOf('a', { idempotencyKey: 'x' })],
      [effectOf('a', { status: 'refused' })],
    );
    expect(findings).toMatchObject([{ kind: 'unknown-to-ledger', resembles: 'a' }]);
  });
});

describe('several effects with one reference, and no keys', () => {
  const same = { references: ['INV-7'] };
  const receipt = (id: string, more = {}) =>
    keyless('x', { reference: 'INV-7', receiptId: id, ...more });

  it.each<
    [string, readonly Partial<StatementEffect>[], readonly StatementReceipt[], readonly string[]]
  >([
    ['refused, then applied: one receipt', [{ status: 'refused' }, {}], [receipt('1')], []],
    [
      'refused, then applied: two receipts',
      [{ status: 'refused' }, {}],
      [receipt('1'), receipt('2')],
      ['refused-but-done 0 2'],
    ],
    [
      'withdrawn, then applied: two receipts',
      [{ status: 'refused', sends: 0 }, {}],
      [receipt('1'), receipt('2')],
      ['duplicate 1 1 2'],
    ],
    ['applied, and one that got its outcome', [{ sameAs: '1', sends: 0 }, {}], [receipt('1')], []],
    ['two applied: one receipt', [{}, {}], [receipt('1')], ['unknown-to-receiver 1']],
    [
      'two applied with two amounts: crosswise',
      [{ amountMinor: 1 }, { amountMinor: 2 }],
      [receipt('1', { amountMinor: 2 }), receipt('2', { amountMinor: 1 })],
      [],
    ],
    [
      'applied, and one that waits for its send: two receipts',
      [{}, { status: 'intended', sends: 0 }],
      [receipt('1'), receipt('2')],
      ['duplicate 0 1 2'],
    ],
    [
      'in doubt and refused: one receipt',
      [{ status: 'refused' }, { status: 'in_doubt' }],
      [receipt('1')],
      ['doubt-answered 1 1'],
    ],
  ])('%s → %j', (_case, effects, receipts, expected) => {
    const made = effects.map((more, at) => effectOf(String(at), { ...same, ...more }));
    expect(compare(receipts, made).found).toEqual(expected);
  });
});

describe('the edges of the period', () => {
  it.each<[string, Partial<StatementEffect>, number]>([
    ['sent just before it begins', { sentAtMs: -1 }, 0],
    ['sent within the grace of its start', { sentAtMs: GRACE_MS - 1 }, 0],
    ['sent when the grace is over', { sentAtMs: GRACE_MS }, 1],
    ['done as the grace of its end begins', { doneAtMs: PERIOD.toMs - GRACE_MS }, 1],
    ['done within the grace of its end', { doneAtMs: PERIOD.toMs - GRACE_MS + 1 }, 0],
    ['sent inside, resent until after its end', { doneAtMs: PERIOD.toMs + HOUR_MS }, 0],
  ])('an applied effect %s → missed %#', (_case, effect, missed) => {
    const { found, counts } = compare([], [effectOf('a', effect)]);
    expect(found).toHaveLength(missed);
    expect(counts.outside).toBe(1 - missed);
  });

  it('a receipt outside of it → explains its effect, and is no finding of its own', () => {
    const late = receiptOf('a', { atMs: PERIOD.toMs + 1 });
    expect(compare([late], [effectOf('a')]).found).toEqual([]);
    expect(compare([late], []).found).toEqual([]);
    expect(compare([{ ...late, atMs: PERIOD.toMs }], []).found).toEqual([
      'unknown-to-ledger - tr-a',
    ]);
  });

  it('inferred → from the first receipt to the last; none has a time → none', () => {
    const comparison = compareStatement({ match: [], graceMs: 0 });
    comparison.addReceipt(receiptOf('a', { atMs: undefined }));
    expect(comparison.inferPeriod()).toBeUndefined();
    for (const atMs of [7, 3, 9]) comparison.addReceipt(receiptOf(`at-${atMs}`, { atMs }));
    expect(comparison.inferPeriod()).toEqual({ fromMs: 3, toMs: 9 });
  });
});

/** How one effect of a random world is told of; each with what must be found. */
const CLEAN = [
  'applied',
  'refused',
  'intended',
  'in_doubt',
  'on-wire',
  'on-wire-done',
  'same-as',
] as const;
const PLANTED = [
  'unknown-to-ledger',
  'unknown-to-receiver',
  'duplicate',
  'amount-differs',
  'doubt-answered',
  'late-answered',
  'refused-but-done',
  'unsent-but-done',
] as const;
type Story = (typeof CLEAN)[number] | (typeof PLANTED)[number];

interface Told {
  readonly effect?: StatementEffect;
  readonly receipts: readonly StatementReceipt[];
  readonly finding?: FindingKind;
}

function tell(story: Story, name: string, isKeyless: boolean): Told {
  const receipt = isKeyless ? keyless(name) : receiptOf(name);
  const applied = effectOf(name);
  switch (story) {
    case 'applied':
      return { effect: applied, receipts: [receipt] };
    case 'refused':
    case 'intended':
    case 'in_doubt':
      return { effect: { ...applied, status: story }, receipts: [] };
    case 'on-wire':
      return { effect: { ...applied, status: 'dispatched', isOnWire: true }, receipts: [] };
    case 'on-wire-done':
      return { effect: { ...applied, status: 'dispatched', isOnWire: true }, receipts: [receipt] };
    case 'same-as':
      return { effect: { ...applied, sameAs: 'first', sends: 0 }, receipts: [] };
    case 'unknown-to-ledger':
      return { receipts: [receipt], finding: story };
    case 'unknown-to-receiver':
      return { effect: applied, receipts: [], finding: story };
    case 'duplicate':
      return {
        effect: applied,
        receipts: [receipt, { ...receipt, receiptId: `${name}-2` }],
        finding: story,
      };
    case 'amount-differs':
      return { effect: applied, receipts: [{ ...receipt, amountMinor: 1 }], finding: story };
    case 'doubt-answered':
      return { effect: { ...applied, status: 'in_doubt' }, receipts: [receipt], finding: story };
    case 'late-answered':
      return {
        effect: { ...applied, status: 'dispatched' },
        receipts: [receipt],
        finding: 'doubt-answered',
      };
    case 'refused-but-done':
      return { effect: { ...applied, status: 'refused' }, receipts: [receipt], finding: story };
    case 'unsent-but-done':
      return {
        effect: { ...applied, status: 'intended', sends: 0 },
        receipts: [receipt],
        finding: story,
      };
  }
}

describe('random worlds', () => {
  const stories = fc.array(
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom<Story>(...CLEAN) },
      { weight: 1, arbitrary: fc.constantFrom<Story>(...PLANTED) },
    ),
    { maxLength: 60 },
  );
  const world = fc.record({
    stories,
    keys: fc.constantFrom('all', 'none', 'some'),
    order: fc.infiniteStream(fc.nat()),
  });

  it('planted discrepancies, in any order, with keys, without, or mixed → found exactly', () => {
    const property = fc.property(world, ({ stories, keys, order }) => {
      const told = stories.map((story, at) => {
        const isKeyless = keys === 'none' || (keys === 'some' && at % 2 === 0);
        return tell(story, String(at), isKeyless);
      });
      const shuffled = <T>(items: readonly T[]): T[] =>
        items
          .map((item) => [order.next().value as number, item] as const)
          .sort(([one], [other]) => one - other)
          .map(([, item]) => item);
      const receipts = shuffled(told.flatMap((one) => one.receipts));
      const effects = shuffled(told.flatMap(({ effect }) => effect ?? []));
      const expected = told.flatMap(({ finding, ...rest }) =>
        finding ? [shown({ kind: finding, ...rest })] : [],
      );
      expect(compare(receipts, effects).found).toEqual(expected.sort());
    });
    checkProperty(property);
  });
});
