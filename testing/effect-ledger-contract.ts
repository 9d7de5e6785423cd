// The conformance suite of an effect ledger: every storage that Pawl runs on passes exactly these cases.
import { beforeAll, describe, expect, it } from '@jest/globals';
import { describeConclusions } from './effect-ledger-conclusions.ts';
import { describeFacts } from './effect-ledger-facts.ts';
import { describeIdentity } from './effect-ledger-identity.ts';
import { describeStored } from './effect-ledger-stored.ts';
import { describeTransactions } from './effect-ledger-transactions.ts';
import {
  createBench,
  type LedgerUnderTest,
  REQUEST,
  APPLIED,
  REFUSED,
  NOT_SENT,
  DOUBTED,
  newIntent,
  type Suite,
} from './effect-ledger-fixture.ts';

/** Declares the conformance suite for the ledger that `createLedger` makes; called once, before the first case. */
export function effectLedgerContract(
  name: string,
  createLedger: () => Promise<LedgerUnderTest>,
): void {
  let ledger: LedgerUnderTest | undefined;
  const under = (): LedgerUnderTest => {
    if (!ledger) throw new Error('The ledger under test is made before the first case.');
    return ledger;
  };
  const suite: Suite = { under, bench: () => createBench(under()) };
  describe(`the effect ledger (${name})`, () => {
    beforeAll(async () => {
      ledger = await createLedger();
    });
    describe('intend', () => describeIntend(suite));
    describe('dispatch', () => describeDispatch(suite));
    describe('claims', () => describeClaims(suite));
    describe('stored bytes', () => describeBytes(suite));
    describe('the limit of calls', () => describeCallLimit(suite));
    describe('identity', () => describeIdentity(suite));
    describe('stored and not looked at since', () => describeStored(suite));
    describe('facts', () => describeFacts(suite));
    describe('conclusions', () => describeConclusions(suite));
    describe('transactions', () => describeTransactions(suite));
  });
}

function describeIntend({ under, bench }: Suite): void {
  it('an intent again, with other content → the row as it was, one fact', async () => {
    const intent = await bench().intended();
    const before = await bench().read(intent);
    await under().ledger.intend([
      { ...intent, fingerprint: 'other', arguments: { cents: 9 }, tool: 'x' },
    ]);
    expect(await bench().read(intent)).toEqual(before);
    expect(before).toMatchObject({ ...intent, sameAs: null, output: null, fence: 0 });
    expect(before.state).toEqual({ status: 'intended', sends: 0, absents: 0, conflict: false });
    expect(await bench().kinds(intent)).toEqual(['intended']);
  });

  it('an intent after the outcome → the outcome stays', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, APPLIED);
    await under().ledger.intend([intent]);
    expect((await bench().read(intent)).state.status).toBe('applied');
  });

  it('one intent from 20 at once → one row, one fact', async () => {
    const intent = newIntent();
    await Promise.all(Array.from({ length: 20 }, () => under().ledger.intend([intent])));
    expect(await bench().kinds(intent)).toEqual(['intended']);
  });

  it('the wire key → made at intend, another one per effect, the same for ever', async () => {
    const [one, other] = [await bench().intended(), await bench().intended()];
    const keys = [(await bench().read(one)).wireKey, (await bench().read(other)).wireKey];
    expect(new Set(keys).size).toBe(2);
    await bench().dispatch(one);
    expect((await bench().read(one)).wireKey).toBe(keys[0]);
  });

  it('an effect that the ledger does not know → no begin, no permit, no fact', async () => {
    const stranger = newIntent();
    const { tenant, id, rootKey } = stranger;
    expect(await under().ledger.begin(tenant, id, rootKey)).toBeUndefined();
    expect(await bench().dispatch(stranger)).toEqual({
      kind: 'not-permitted',
      reason: 'the ledger does not know this effect',
    });
    await expect(bench().append(stranger, APPLIED)).rejects.toThrow(
      `The ledger does not know the effect ${id}`,
    );
  });

  it('another tenant → does not see it', async () => {
    const intent = await bench().intended();
    expect(await under().ledger.begin('other', intent.id, intent.rootKey)).toBeUndefined();
  });
}

function describeDispatch({ under, bench }: Suite): void {
  it('an intended effect → granted: fence, lease, one send, its bytes', async () => {
    const intent = await bench().intended();
    const answer = await bench().dispatch(intent, { leaseMs: 60_000 });
    expect(answer).toMatchObject({ kind: 'granted', isResend: false, request: REQUEST });
    const { nowMs, record } = (await under().ledger.begin('acme', intent.id, intent.rootKey)) ?? {};
    expect(record).toMatchObject({ fence: 1, claimOrder: 1, claimedBy: 'a' });
    expect(record?.state).toMatchObject({ status: 'dispatched', sends: 1 });
    expect((record?.leaseUntilMs ?? 0) - (nowMs ?? 0)).toBeGreaterThan(50_000);
    expect(record?.firstSentAtMs).toBeLessThanOrEqual(nowMs ?? 0);
    expect(await bench().kinds(intent)).toEqual(['intended', 'dispatched']);
  });

  it.each(['once', 'keyed', 'reconcilable'] as const)(
    '%s in a paused run → no permit; resumed → granted',
    async (contract) => {
      const intent = await bench().intended({ contract });
      await under().setControl('acme', intent.runKey, { paused: true });
      expect(await bench().dispatch(intent)).toEqual({ kind: 'paused' });
      expect(await bench().kinds(intent)).toEqual(['intended']);
      await under().setControl('acme', intent.runKey, { paused: false });
      expect(await bench().dispatch(intent)).toMatchObject({ kind: 'granted' });
    },
  );

  it('a resend in a paused run → no permit', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    await under().setControl('acme', intent.runKey, { paused: true });
    expect(await bench().dispatch(intent)).toEqual({ kind: 'paused' });
  });

  it('a cancelled run → what was not sent is never sent', async () => {
    const intent = await bench().intended({ contract: 'keyed' });
    await under().setControl('acme', intent.runKey, { cancelled: true });
    expect(await bench().dispatch(intent)).toEqual({ kind: 'cancelled' });
    expect(await under().ledger.request('acme', intent.id)).toBeUndefined();
  });

  it('a cancelled run → what was sent is settled, by a resend too', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    await under().setControl('acme', intent.runKey, { cancelled: true });
    expect(await bench().dispatch(intent)).toMatchObject({ kind: 'granted', isResend: true });
  });

  it('another run’s pause → nothing', async () => {
    const [paused, free] = [await bench().intended(), await bench().intended()];
    await under().setControl('acme', paused.runKey, { paused: true });
    expect(await bench().dispatch(free)).toMatchObject({ kind: 'granted' });
  });

  it.each([
    ['applied', APPLIED],
    ['refused', REFUSED],
  ])('an effect that is %s → no permit, whatever the claim', async (status, fact) => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    await bench().append(intent, fact);
    expect(await bench().dispatch(intent, { order: 9 })).toEqual({
      kind: 'not-permitted',
      reason: `it is ${status} already`,
    });
  });

  it.each([
    ['once, under its lease', 'once', [], 'the contract allows no send now (wait)'],
    ['once, in doubt', 'once', [DOUBTED], 'the contract allows no send now (return)'],
    [
      'reconcilable, in doubt',
      'reconcilable',
      [DOUBTED],
      'the contract allows no send now (probe)',
    ],
  ] as const)('%s → no second send', async (_name, contract, facts, reason) => {
    const intent = await bench().dispatched({ contract });
    if (facts.length > 0) await bench().append(intent, ...facts);
    expect(await bench().dispatch(intent, { order: 2, by: 'b' })).toEqual({
      kind: 'not-permitted',
      reason,
    });
  });

  it('one effect, 20 attempts at once → one permit', async () => {
    const intent = await bench().intended();
    const attempts = Array.from({ length: 20 }, (_, index) =>
      bench().dispatch(intent, { by: `worker ${index}`, order: 1 + (index % 3) }),
    );
    const kinds = (await Promise.all(attempts)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'granted')).toHaveLength(1);
    expect((await bench().read(intent)).state.sends).toBe(1);
  });
}

function describeClaims({ bench }: Suite): void {
  it('an older claim → no permit, although the key would allow a resend', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' }, { order: 5 });
    expect(await bench().dispatch(intent, { order: 4, by: 'zombie' })).toEqual({
      kind: 'not-permitted',
      reason: 'a later attempt has claimed it',
    });
  });

  it('an older claim, after the newer one provably sent nothing → still no permit', async () => {
    const intent = await bench().dispatched({}, { order: 5 });
    await bench().append(intent, { fact: NOT_SENT, fence: 1 });
    expect(await bench().dispatch(intent, { order: 4, by: 'zombie' })).toMatchObject({
      kind: 'not-permitted',
    });
  });

  it('the same order from another attempt, under its lease → no permit', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' }, { order: 5 });
    expect(await bench().dispatch(intent, { order: 5, by: 'b' })).toEqual({
      kind: 'not-permitted',
      reason: 'another attempt is at work',
    });
  });

  it('the same order from another attempt, past its lease → granted', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' }, { order: 5, leaseMs: 20 });
    await bench().leaseEnds(intent);
    expect(await bench().dispatch(intent, { order: 5, by: 'b' })).toMatchObject({
      kind: 'granted',
      isResend: true,
    });
  });

  it('the holder itself, again → granted, with a new fence', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    await bench().dispatch(intent);
    expect(await bench().read(intent)).toMatchObject({
      fence: 2,
      claimedBy: 'a',
      state: { sends: 2 },
    });
  });

  it('a later claim under the lease → the key allows it', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    expect(await bench().dispatch(intent, { order: 2, by: 'b' })).toMatchObject({
      kind: 'granted',
      isResend: true,
    });
    expect(await bench().read(intent)).toMatchObject({ fence: 2, claimOrder: 2, claimedBy: 'b' });
  });

  it('the moment of the first send → kept by a resend: the key’s retention counts from there', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    const { firstSentAtMs } = await bench().read(intent);
    await bench().dispatch(intent, { order: 2, by: 'b' });
    expect((await bench().read(intent)).firstSentAtMs).toBe(firstSentAtMs);
  });

  it('a send that provably never left → the next one is the first: the retention counts from there', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' }, { leaseMs: 20 });
    const { firstSentAtMs } = await bench().read(intent);
    await bench().append(intent, { fact: NOT_SENT, fence: 1 });
    await bench().leaseEnds(intent);
    expect(await bench().dispatch(intent, { order: 2, by: 'b' })).toMatchObject({
      isResend: false,
    });
    expect((await bench().read(intent)).firstSentAtMs).toBeGreaterThan(firstSentAtMs ?? Infinity);
  });
}

function describeBytes({ under, bench }: Suite): void {
  const other = {
    method: 'PUT',
    url: 'https://elsewhere.example/',
    headers: [],
    body: Buffer.from('other'),
  };

  it('a second attempt that brings other bytes → gets those of the first', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    const answer = await bench().dispatch(intent, { order: 2, by: 'b', request: other });
    expect(answer).toMatchObject({ kind: 'granted', request: REQUEST });
    const stored = await under().ledger.request('acme', intent.id);
    expect(stored).toEqual(REQUEST);
    expect(stored?.body.equals(REQUEST.body)).toBe(true);
  });

  it('bytes of a send that never left → kept all the same', async () => {
    const intent = await bench().dispatched();
    await bench().append(intent, { fact: NOT_SENT, fence: 1 });
    expect(await bench().dispatch(intent, { request: other })).toMatchObject({ request: REQUEST });
  });

  it('an empty body → empty, and not missing', async () => {
    const intent = await bench().dispatched({}, { request: { ...other, body: Buffer.alloc(0) } });
    expect(await under().ledger.request('acme', intent.id)).toEqual({
      ...other,
      body: Buffer.alloc(0),
    });
  });

  it('a tool that owns its wire → no bytes', async () => {
    const intent = await bench().intended();
    expect(await bench().dispatch(intent, { request: null })).toMatchObject({
      kind: 'granted',
      request: null,
    });
    expect(await under().ledger.request('acme', intent.id)).toBeUndefined();
  });
}

function describeCallLimit({ bench }: Suite): void {
  const inOneRun = async (count: number) => {
    const { runKey } = newIntent();
    return Promise.all(
      Array.from({ length: count }, () => bench().intended({ runKey, rootKey: runKey })),
    );
  };

  it('20 calls at once with a limit of 3 → three permits, and the limit for the others', async () => {
    const intents = await inOneRun(20);
    const answers = await Promise.all(
      intents.map((each) => bench().dispatch(each, { callsPerRunMax: 3 })),
    );
    expect(answers.filter(({ kind }) => kind === 'granted')).toHaveLength(3);
    expect(answers.filter(({ kind }) => kind !== 'granted')).toEqual(
      Array.from({ length: 17 }, () => ({ kind: 'limit', max: 3 })),
    );
  });

  it('a call that provably sent nothing → counts no more', async () => {
    const [first, second] = await inOneRun(2);
    if (!first || !second) throw new Error('two intents');
    await bench().dispatch(first, { callsPerRunMax: 1 });
    expect(await bench().dispatch(second, { callsPerRunMax: 1 })).toEqual({
      kind: 'limit',
      max: 1,
    });
    await bench().append(first, { fact: NOT_SENT, fence: 1 });
    expect(await bench().dispatch(second, { callsPerRunMax: 1 })).toMatchObject({
      kind: 'granted',
    });
  });

  it('a resend, another tool, another run → not counted', async () => {
    const sent = await bench().dispatched({ contract: 'keyed' }, { callsPerRunMax: 1 });
    expect(await bench().dispatch(sent, { callsPerRunMax: 1 })).toMatchObject({ kind: 'granted' });
    const { runKey, rootKey } = sent;
    for (const change of [{ runKey, rootKey, tool: 'mail' }, {}]) {
      const intent = await bench().intended(change);
      expect(await bench().dispatch(intent, { callsPerRunMax: 1 })).toMatchObject({
        kind: 'granted',
      });
    }
  });
}
