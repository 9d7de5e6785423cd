// Conformance cases: a permit for a caller that has stored the effect itself and has not looked at the ledger since.
import { expect, it } from '@jest/globals';
import {
  type AsStored,
  type EffectIntent,
  type EffectRecord,
  NOT_AS_STORED,
} from '../activities/ledger/effect-ledger.ts';
import {
  APPLIED,
  type DispatchChange,
  newIntent,
  REFUSED,
  REQUEST,
  type Suite,
} from './effect-ledger-fixture.ts';

/** What the caller holds: the effect as it was stored, and the sequence that its run has seen. */
interface Unlooked {
  readonly seen: EffectRecord;
  readonly asStored: AsStored;
}

export function describeStored({ under, bench }: Suite): void {
  const stored = async (
    change: Partial<EffectIntent> = {},
  ): Promise<{ readonly intent: EffectIntent; readonly held: Unlooked }> => {
    const intent = await bench().intended(change);
    return { intent, held: { seen: await bench().read(intent), asStored: { seqSeen: 0 } } };
  };
  const expectNoPermit = async (intent: EffectIntent, change: DispatchChange): Promise<void> => {
    const before = await bench().read(intent);
    expect(await bench().dispatch(intent, change)).toEqual(NOT_AS_STORED);
    expect(await bench().read(intent)).toEqual(before);
  };

  it('as it was stored → granted, and the record is what a look reads', async () => {
    const { intent, held } = await stored({ contract: 'keyed', identityHash: 'stored-1' });
    const answer = await bench().dispatch(intent, { ...held, leaseMs: 60_000 });
    expect(answer).toMatchObject({ kind: 'granted', isResend: false, request: REQUEST });
    expect(answer.kind === 'granted' && answer.record).toEqual(await bench().read(intent));
  });

  it.each(['paused', 'cancelled'])('%s since → no permit', async (control) => {
    const { intent, held } = await stored();
    await under().setControl('acme', intent.runKey, { [control]: true });
    await expectNoPermit(intent, held);
  });

  it('sent by another attempt since → no permit', async () => {
    const { intent, held } = await stored({ contract: 'keyed' });
    await bench().dispatch(intent);
    await expectNoPermit(intent, { ...held, order: 2, by: 'b' });
  });

  it('permitted to another attempt since, which has not sent → no permit', async () => {
    const { intent, held } = await stored({ contract: 'keyed' });
    const granted = await bench().dispatch(intent);
    if (granted.kind !== 'granted') throw new Error(granted.kind);
    const { fence } = granted.record;
    await bench().append(intent, { fact: { kind: 'not_sent', reason: 'ECONNREFUSED' }, fence });
    expect(await bench().read(intent)).toMatchObject({ state: { status: 'intended' } });
    await expectNoPermit(intent, { ...held, order: 2, by: 'b' });
  });

  it('a limit of calls, which is counted under a lock → no permit', async () => {
    const { intent, held } = await stored();
    await expectNoPermit(intent, { ...held, callsPerRunMax: 3 });
  });

  it('withdrawn since → no permit', async () => {
    const { intent, held } = await stored();
    await bench().append(intent, { kind: 'withdrawn', code: 'skipped', message: 'the run ended' });
    await expectNoPermit(intent, held);
  });

  it('its identity taken since → no permit', async () => {
    const { intent, held } = await stored({ identityHash: 'stored-2' });
    const other = await bench().intended({ identityHash: 'stored-2' });
    await bench().dispatch(other);
    await expectNoPermit(intent, held);
  });

  it('a ledger that is older than the run → no permit; as old → granted', async () => {
    const { intent, held } = await stored();
    const before = await bench().dispatched({ rootKey: intent.rootKey });
    await bench().append(before, APPLIED);
    await expectNoPermit(intent, { ...held, asStored: { seqSeen: 2 } });
    const asOld = { ...held, asStored: { seqSeen: 1 } };
    expect(await bench().dispatch(intent, asOld)).toMatchObject({ kind: 'granted' });
  });

  it('an effect that the ledger has lost → no permit', async () => {
    const { held } = await stored();
    const lost = newIntent();
    const seen = { ...held.seen, ...lost };
    expect(await bench().dispatch(lost, { ...held, seen })).toEqual(NOT_AS_STORED);
  });

  it.each([APPLIED, REFUSED, { kind: 'pending', reference: 'r-1', withinMs: 60_000 } as const])(
    'the record behind $kind → what a look reads',
    async (fact) => {
      const { intent, held } = await stored({ contract: 'keyed' });
      const granted = await bench().dispatch(intent, held);
      if (granted.kind !== 'granted') throw new Error(granted.kind);
      const { tenant, id } = intent;
      const { record } = granted;
      const answer = await under().ledger.append(
        tenant,
        id,
        [{ fact, fence: record.fence }],
        record,
      );
      expect(answer.record).toEqual(await bench().read(intent));
    },
  );
}
