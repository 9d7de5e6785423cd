// Conformance: at most one live effect holds an identity, and what its holder means for the others.
import { expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { IdentityStanding } from '../activities/ledger/effect-ledger.ts';
import {
  AMBIGUOUS,
  APPLIED,
  DOUBTED,
  NOT_SENT,
  REFUSED,
  type Suite,
} from './effect-ledger-fixture.ts';

/** Declares the cases of identity. */
export function describeIdentity(suite: Suite): void {
  describeHolding(suite);
  describeStanding(suite);
  describeLateHolding(suite);
}

const sameIdentity = (): { identityHash: string; contract: 'keyed' } => ({
  identityHash: randomUUID(),
  contract: 'keyed',
});

async function standing(
  { under }: Suite,
  { id, rootKey }: { id: string; rootKey: string },
): Promise<IdentityStanding | undefined> {
  return (await under().ledger.begin('acme', id, rootKey))?.identity;
}

function describeHolding(suite: Suite): void {
  const { bench } = suite;

  it('20 effects of one identity, dispatched at once → one permit, the others are blocked by it', async () => {
    const identity = sameIdentity();
    const intents = await Promise.all(Array.from({ length: 20 }, () => bench().intended(identity)));
    const answers = await Promise.all(intents.map((intent) => bench().dispatch(intent)));
    const granted = answers.flatMap((answer) => (answer.kind === 'granted' ? [answer.record] : []));
    expect(granted).toHaveLength(1);
    const by = granted[0]?.shortId;
    expect(answers.filter(({ kind }) => kind !== 'granted')).toEqual(
      Array.from({ length: 19 }, () => ({
        kind: 'identity',
        standing: { kind: 'blocked', by, status: 'dispatched' },
      })),
    );
  });

  it.each([
    ['refused', { fact: REFUSED, fence: 1 }],
    ['proven unsent', { fact: NOT_SENT, fence: 1 }],
  ])('the first one %s → the next may go', async (_name, entry) => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    const second = await bench().intended(identity);
    await bench().append(first, entry);
    expect(await standing(suite, second)).toEqual({ kind: 'free' });
    expect(await bench().dispatch(second)).toMatchObject({ kind: 'granted' });
    // The first one has lost its turn.
    expect(await bench().dispatch(first, { order: 2 })).not.toMatchObject({ kind: 'granted' });
  });

  it.each([
    ['ambiguous', [{ fact: AMBIGUOUS, fence: 1 }], 'dispatched'],
    ['in doubt', [{ fact: DOUBTED }], 'in_doubt'],
  ] as const)('the first one %s → the next is blocked', async (_name, entries, status) => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    await bench().append(first, ...entries);
    const second = await bench().intended(identity);
    const blocked = { kind: 'blocked', by: first.shortId, status };
    expect(await standing(suite, second)).toEqual(blocked);
    expect(await bench().dispatch(second)).toEqual({ kind: 'identity', standing: blocked });
  });

  it('the holder itself → is not in its own way', async () => {
    const first = await bench().dispatched(sameIdentity());
    expect(await standing(suite, first)).toEqual({ kind: 'free' });
    expect(await bench().dispatch(first)).toMatchObject({ kind: 'granted', isResend: true });
  });

  it.each([
    ['another tool', { tool: 'mail' }],
    ['another tenant', { tenant: 'other' }],
    ['no identity', { identityHash: null }],
  ])('%s → free', async (_name, change) => {
    const identity = sameIdentity();
    await bench().dispatched(identity);
    expect(
      await bench().dispatch(await bench().intended({ ...identity, ...change })),
    ).toMatchObject({
      kind: 'granted',
    });
  });
}

function describeStanding(suite: Suite): void {
  const { bench } = suite;

  it('applied with the same arguments → its outcome', async () => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    await bench().append(first, APPLIED);
    const second = await bench().intended(identity);
    const found = { kind: 'already-applied', by: first.shortId, output: { id: 'tr_1' } };
    expect(await standing(suite, second)).toEqual(found);
    expect(await bench().dispatch(second)).toEqual({ kind: 'identity', standing: found });
  });

  it('applied with other arguments → a human has to say that both are meant', async () => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    await bench().append(first, APPLIED);
    const second = await bench().intended({ ...identity, fingerprint: 'f2' });
    const found = { kind: 'other-arguments', by: first.shortId };
    expect(await standing(suite, second)).toEqual(found);
    expect(await bench().dispatch(second)).toEqual({ kind: 'identity', standing: found });
  });

  it('a human has said so → granted beside the holder, which stays the holder', async () => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    await bench().append(first, APPLIED);
    const second = await bench().intended({ ...identity, fingerprint: 'f2' });
    expect(await bench().dispatch(second, { ignoresIdentity: true })).toMatchObject({
      kind: 'granted',
    });
    await bench().append(second, APPLIED);
    expect(await standing(suite, await bench().intended(identity))).toMatchObject({
      by: first.shortId,
    });
  });

  it('adopted by a second effect → it says whose outcome it has; the first stays the holder', async () => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    await bench().append(first, APPLIED);
    const second = await bench().intended(identity);
    const fact = { kind: 'applied', source: 'engine', output: { id: 'tr_1' } } as const;
    const record = await bench().append(second, { fact, details: { sameAs: first.shortId } });
    expect(record).toMatchObject({ sameAs: first.shortId, state: { status: 'applied', sends: 0 } });
    expect(await standing(suite, await bench().intended(identity))).toMatchObject({
      by: first.shortId,
    });
  });
}

function describeLateHolding(suite: Suite): void {
  const { bench } = suite;

  it('in doubt without a permit (the tool wrote by other means) → blocks the next', async () => {
    const identity = sameIdentity();
    const first = await bench().intended(identity);
    await bench().append(first, DOUBTED);
    const second = await bench().intended(identity);
    expect(await bench().dispatch(second)).toEqual({
      kind: 'identity',
      standing: { kind: 'blocked', by: first.shortId, status: 'in_doubt' },
    });
  });

  it('refused, and then known as applied after all → its outcome is the next one’s', async () => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    await bench().append(first, REFUSED);
    await bench().append(first, { ...APPLIED, source: 'webhook' } as typeof APPLIED);
    const second = await bench().intended(identity);
    expect(await bench().dispatch(second)).toMatchObject({
      kind: 'identity',
      standing: { kind: 'already-applied', by: first.shortId },
    });
  });

  it('applied after all, while a second one is under way → both facts are kept, the second holds', async () => {
    const identity = sameIdentity();
    const first = await bench().dispatched(identity);
    await bench().append(first, REFUSED);
    const second = await bench().dispatched(identity);
    const record = await bench().append(first, APPLIED);
    expect(record.state).toMatchObject({ status: 'applied', conflict: true });
    expect(await standing(suite, await bench().intended(identity))).toMatchObject({
      by: second.shortId,
    });
  });

  it('two effects of one identity doubted at once → both in doubt, one holds', async () => {
    const identity = sameIdentity();
    const both = [await bench().intended(identity), await bench().intended(identity)];
    await Promise.all(both.map((each) => bench().append(each, DOUBTED)));
    const third = await bench().intended(identity);
    expect(await standing(suite, third)).toMatchObject({ kind: 'blocked', status: 'in_doubt' });
  });
}
