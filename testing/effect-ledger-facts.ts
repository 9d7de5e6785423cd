// Conformance: observations are never refused, in any state, however late; what they amount to is the fold's word.
import { describe, expect, it } from '@jest/globals';
import { type EffectState, type Fact, foldFact, INTENDED } from '../domain/rules/effect.ts';
import {
  AMBIGUOUS,
  APPLIED,
  DOUBTED,
  NOT_SENT,
  REFUSED,
  type Suite,
} from './effect-ledger-fixture.ts';

/** Declares the cases of facts, leases, sequences and settlements. */
export function describeFacts(suite: Suite): void {
  describeAppend(suite);
  describeOutcome(suite);
  describeLease(suite);
  describe('the sequence of a tree of runs', () => describeSeq(suite));
  describe('overdue effects', () => describeOverdue(suite));
  describe('settlements', () => describeSettlements(suite));
}

const OBSERVATIONS: readonly Fact[] = [
  { kind: 'intended' },
  NOT_SENT,
  AMBIGUOUS,
  APPLIED,
  REFUSED,
  { kind: 'probed_absent' },
  { kind: 'probed_unclear', reason: 'HTTP 503' },
  DOUBTED,
  { kind: 'withdrawn', code: 'cancelled', message: 'cancelled' },
];

const WAYS: Readonly<Record<string, readonly Fact[]>> = {
  intended: [],
  dispatched: [{ kind: 'dispatched' }],
  applied: [{ kind: 'dispatched' }, APPLIED],
  refused: [{ kind: 'dispatched' }, REFUSED],
  in_doubt: [{ kind: 'dispatched' }, DOUBTED],
};

const foldAll = (facts: readonly Fact[]): EffectState => facts.reduce(foldFact, INTENDED);

function describeAppend({ under, bench }: Suite): void {
  it.each(Object.keys(WAYS))(
    'every observation of an effect that is %s → kept, and folded as the rules say',
    async (status) => {
      for (const fact of OBSERVATIONS) {
        const way = WAYS[status] ?? [];
        const intent = await bench().intended();
        if (way.length > 0) await bench().append(intent, ...way);
        const { state } = await bench().append(intent, fact);
        const { code, reason, ...expected } = foldAll([...way, fact]);
        expect(state).toEqual({
          ...expected,
          ...(code ? { code } : {}),
          ...(reason ? { reason } : {}),
        });
        expect(await bench().kinds(intent)).toEqual([
          'intended',
          ...way.map(({ kind }) => kind),
          fact.kind,
        ]);
      }
    },
  );

  it('several facts at once → in this order', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, { kind: 'probed_unclear', reason: 'busy' }, DOUBTED);
    expect(await bench().kinds(intent)).toEqual([
      'intended',
      'dispatched',
      'probed_unclear',
      'doubted',
    ]);
  });

  it('20 appends at once → ordinals without a gap', async () => {
    const intent = await bench().dispatched();
    await Promise.all(Array.from({ length: 20 }, () => bench().append(intent, AMBIGUOUS)));
    const ordinals = (await under().facts(intent)).map(({ ordinal }) => ordinal);
    expect(ordinals).toEqual(Array.from({ length: 22 }, (_, index) => index + 1));
  });

  it('what an audit needs → beside the fact', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, {
      fact: APPLIED,
      fence: 1,
      attempt: 3,
      details: { why: 'because' },
    });
    expect((await under().facts(intent)).at(-1)).toMatchObject({
      kind: 'applied',
      source: 'response',
      fence: 1,
      data: { output: { id: 'tr_1' }, why: 'because' },
    });
  });

  it('text that a hostile receiver chose (NUL, half a surrogate pair) → the fact is kept', async () => {
    const odd = 'a\u0000b\ud83d';
    const yes = await bench().dispatched();
    const output = { [odd]: [odd], emoji: '😀' };
    const { state, output: stored } = await bench().append(yes, {
      kind: 'applied',
      source: 'response',
      output,
    });
    expect(state.status).toBe('applied');
    expect(stored).toEqual({ 'a\ufffdb\ufffd': ['a\ufffdb\ufffd'], emoji: '😀' });
    const no = await bench().dispatched();
    const refusal = { kind: 'refused', source: 'response', code: odd, message: odd } as const;
    expect((await bench().append(no, refusal)).state).toMatchObject({
      status: 'refused',
      code: 'a\ufffdb\ufffd',
      reason: 'a\ufffdb\ufffd',
    });
    const open = await bench().dispatched();
    expect((await bench().append(open, { kind: 'doubted', reason: odd })).state.status).toBe(
      'in_doubt',
    );
  });

  it('"not sent" of one permit, said twice (a lost commit answer) → counts once', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, { fact: NOT_SENT, fence: 1 });
    expect(await bench().dispatch(intent, { order: 2, by: 'b' })).toMatchObject({
      kind: 'granted',
    });
    // The first attempt says it again: the send of the second is still open.
    const { state } = await bench().append(intent, { fact: NOT_SENT, fence: 1 });
    expect(state).toMatchObject({ status: 'dispatched', sends: 1 });
  });
}

function describeOutcome({ bench }: Suite): void {
  const other: Fact = { kind: 'applied', source: 'probe', output: { id: 'tr_2' } };

  it('a second applied outcome → the first one stands: a workflow was told it', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, { fact: APPLIED, outputProblem: 'id: too short' });
    const record = await bench().append(intent, other);
    expect(record).toMatchObject({ output: { id: 'tr_1' }, outputProblem: 'id: too short' });
  });

  it('two applied outcomes in one append → the first one stands', async () => {
    const intent = await bench().dispatched();
    expect((await bench().append(intent, APPLIED, other)).output).toEqual({ id: 'tr_1' });
  });

  it('an applied effect without an output → null, which a later one does not replace', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, { kind: 'applied', source: 'human', output: null });
    expect((await bench().append(intent, other)).output).toBeNull();
  });

  it('a late yes after a doubt → applied, by itself', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, DOUBTED);
    const record = await bench().append(intent, { fact: APPLIED, fence: 1 });
    expect(record.state).toEqual({ status: 'applied', sends: 1, absents: 0, conflict: false });
  });
}

function describeLease({ under, bench }: Suite): void {
  const isLive = async (intent: { id: string; rootKey: string }): Promise<boolean> => {
    const begin = await under().ledger.begin('acme', intent.id, intent.rootKey);
    return (begin?.record.leaseUntilMs ?? 0) > (begin?.nowMs ?? 0);
  };

  it('the holder says that it has stopped waiting → nobody waits for its lease', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, { fact: AMBIGUOUS, fence: 1 });
    expect(await isLive(intent)).toBe(false);
  });

  it.each([
    ['an old fence', { fact: AMBIGUOUS, fence: 1 }],
    ['nobody in particular', { fact: AMBIGUOUS }],
  ])('ambiguous, said by %s → the lease of the holder stays', async (_name, entry) => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    await bench().dispatch(intent, { order: 2, by: 'b' });
    await bench().append(intent, entry);
    expect(await isLive(intent)).toBe(true);
  });
}

function describeSeq({ under, bench }: Suite): void {
  it('a definite outcome → one up, and nothing else moves it', async () => {
    const { ledger } = under();
    const intent = await bench().intended();
    const { tenant, id, runKey, rootKey } = intent;
    const seqAfter = async (fact: Fact): Promise<number> =>
      (await ledger.append(tenant, id, [{ fact }])).seq;
    await bench().dispatch(intent);
    expect(await seqAfter(AMBIGUOUS)).toBe(0);
    expect(await seqAfter(DOUBTED)).toBe(0);
    expect(await seqAfter(REFUSED)).toBe(1);
    expect(await seqAfter(REFUSED)).toBe(1);
    expect(await seqAfter(APPLIED)).toBe(1);
    const sibling = await bench().dispatched({ runKey, rootKey });
    await bench().append(sibling, APPLIED);
    expect((await ledger.begin(tenant, id, rootKey))?.seq).toBe(2);
  });

  it('20 outcomes at once in one tree → 20 up; another tree is not touched', async () => {
    const { runKey: rootKey } = await bench().intended();
    const intents = await Promise.all(
      Array.from({ length: 20 }, () => bench().dispatched({ rootKey })),
    );
    const { ledger } = under();
    const seqs = await Promise.all(
      intents.map(
        async ({ tenant, id }) => (await ledger.append(tenant, id, [{ fact: APPLIED }])).seq,
      ),
    );
    expect(seqs.sort((one, two) => one - two)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    const stranger = await bench().intended();
    expect((await ledger.begin('acme', stranger.id, stranger.rootKey))?.seq).toBe(0);
  });
}

function describeOverdue({ under, bench }: Suite): void {
  it('dispatched, past the lease, oldest first → found; everything else → not', async () => {
    const first = await bench().dispatched({}, { leaseMs: 10 });
    const second = await bench().dispatched({}, { leaseMs: 30 });
    const live = await bench().dispatched();
    const doubted = await bench().dispatched({}, { leaseMs: 10 });
    await bench().append(doubted, DOUBTED);
    const unsent = await bench().intended();
    await bench().leaseEnds(second);
    const overdue = (await under().ledger.findOverdue(10_000)).map(({ id }) => id);
    const ours = [first, second, live, doubted, unsent].map(({ id }) => id);
    expect(overdue.filter((id) => ours.includes(id))).toEqual([first.id, second.id]);
    expect(await under().ledger.findOverdue(1)).toHaveLength(1);
  });
}

function describeSettlements({ under, bench }: Suite): void {
  it('applied, by a human → the next look finds it applied, with who and why', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, DOUBTED);
    await under().settle(intent, { id: 's1', outcome: 'applied', output: { id: 'tr_9' } });
    expect(await bench().read(intent)).toMatchObject({
      output: { id: 'tr_9' },
      state: { status: 'applied', conflict: false },
    });
    expect((await under().facts(intent)).at(-1)).toMatchObject({
      kind: 'applied',
      source: 'human',
      data: { settlement: 's1' },
    });
  });

  it('not applied, by a human → refused, and its identity is free', async () => {
    const identityHash = newHash();
    const intent = await bench().dispatched({ identityHash });
    await bench().append(intent, DOUBTED);
    await under().settle(intent, { id: 's1', outcome: 'not_applied' });
    expect((await bench().read(intent)).state).toMatchObject({
      status: 'refused',
      code: 'not_applied',
    });
    expect(await bench().dispatch(await bench().intended({ identityHash }))).toMatchObject({
      kind: 'granted',
    });
  });

  it('one settlement, 20 looks at once → one fact, one step of the sequence', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, DOUBTED);
    await under().settle(intent, { id: 's1', outcome: 'applied' });
    const { ledger } = under();
    const looks = Array.from({ length: 20 }, () => ledger.begin('acme', intent.id, intent.rootKey));
    for (const look of await Promise.all(looks)) {
      expect(look).toMatchObject({ seq: 1, record: { state: { status: 'applied' } } });
    }
    const kinds = await bench().kinds(intent);
    expect(kinds.filter((kind) => kind === 'applied')).toHaveLength(1);
  });

  it('two settlements that contradict each other → both kept, marked as a conflict', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, DOUBTED);
    await under().settle(intent, { id: 's1', outcome: 'not_applied' });
    await under().settle(intent, { id: 's2', outcome: 'applied' });
    expect((await bench().read(intent)).state).toMatchObject({ status: 'applied', conflict: true });
    expect(await bench().kinds(intent)).toEqual([
      'intended',
      'dispatched',
      'doubted',
      'refused',
      'applied',
    ]);
  });
}

let hashes = 0;
function newHash(): string {
  hashes += 1;
  return `settlement ${process.pid} ${Date.now()} ${hashes}`;
}
