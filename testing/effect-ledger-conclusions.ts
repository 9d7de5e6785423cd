// Conformance cases: what was concluded from a look is kept for the effect as it was seen, or not at all.
import { expect, it } from '@jest/globals';
import type {
  AppendAnswer,
  EffectIntent,
  EffectRecord,
} from '../activities/ledger/effect-ledger.ts';
import {
  AMBIGUOUS,
  APPLIED,
  type Bench,
  DOUBTED,
  newIntent,
  type Suite,
} from './effect-ledger-fixture.ts';

const CHANGES: readonly [string, (bench: Bench, intent: EffectIntent) => Promise<unknown>][] = [
  ['a fact that changes no state', (bench, intent) => bench.append(intent, AMBIGUOUS)],
  [
    'accepted by the receiver',
    (bench, intent) =>
      bench.append(intent, { kind: 'pending', reference: 'r-1', withinMs: 60_000 }),
  ],
  ['in doubt', (bench, intent) => bench.append(intent, DOUBTED)],
  ['applied', (bench, intent) => bench.append(intent, APPLIED)],
  ['sent again', (bench, intent) => bench.dispatch(intent, { order: 2, by: 'b' })],
];

export function describeConclusions({ under, bench }: Suite): void {
  const conclude = (seen: EffectRecord): Promise<AppendAnswer | undefined> =>
    under().ledger.conclude(seen, [{ fact: DOUBTED }]);

  it('of an effect that is as it was seen → kept, and the record is what a look reads', async () => {
    const intent = await bench().dispatched();
    const answer = await conclude(await bench().read(intent));
    expect(answer?.record.state).toMatchObject({ status: 'in_doubt', reason: 'nobody knows' });
    expect(answer?.record).toEqual(await bench().read(intent));
  });

  it.each(CHANGES)('of one that has changed since: %s → nothing is kept', async (_name, change) => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    const seen = await bench().read(intent);
    await change(bench(), intent);
    const [before, kinds] = [await bench().read(intent), await bench().kinds(intent)];
    expect(await conclude(seen)).toBeUndefined();
    expect(await bench().read(intent)).toEqual(before);
    expect(await bench().kinds(intent)).toEqual(kinds);
  });

  it('an absent of before a later send → nothing is kept', async () => {
    const intent = await bench().dispatched({ contract: 'keyed' });
    const seen = await bench().read(intent);
    await bench().dispatch(intent, { order: 2, by: 'b' });
    const absent = { fact: { kind: 'probed_absent' }, fence: seen.fence } as const;
    expect(await under().ledger.conclude(seen, [absent])).toBeUndefined();
    expect((await bench().read(intent)).state).toMatchObject({ sends: 2, absents: 0 });
  });

  it('by 20 at once → kept once', async () => {
    const intent = await bench().dispatched();
    const seen = await bench().read(intent);
    const answers = await Promise.all(Array.from({ length: 20 }, () => conclude(seen)));
    expect(answers.filter((answer) => answer !== undefined)).toHaveLength(1);
    expect(await bench().kinds(intent)).toEqual(['intended', 'dispatched', 'doubted']);
  });

  it('of one whose identity has no holder → it holds it from then on', async () => {
    const identityHash = 'concluded';
    const intent = await bench().dispatched({ identityHash }, { ignoresIdentity: true });
    const seen = await bench().read(intent);
    expect(seen.holdsIdentity).toBe(false);
    expect((await conclude(seen))?.record.holdsIdentity).toBe(true);
    const other = await bench().intended({ identityHash });
    expect(await bench().dispatch(other)).toMatchObject({ kind: 'identity' });
  });

  it('of one that was undone since → nothing is kept', async () => {
    const undone = await bench().dispatched({ identityHash: 'undone' });
    await bench().append(undone, APPLIED);
    const seen = await bench().read(undone);
    const undoing = await bench().dispatched({ compensates: undone.id });
    await bench().append(undoing, APPLIED);
    expect((await bench().read(undone)).holdsIdentity).toBe(false);
    expect(await conclude(seen)).toBeUndefined();
  });

  it('of one that the ledger does not know → nothing', async () => {
    const seen = await bench().read(await bench().dispatched());
    expect(await conclude({ ...seen, ...newIntent() })).toBeUndefined();
  });
}
