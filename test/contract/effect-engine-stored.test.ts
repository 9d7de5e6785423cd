// The engine with an effect that its own process has just stored: one look less, and nothing that a look would have stopped.
import { guarantee } from '../guarantee.ts';
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { EffectIntent } from '../../activities/ledger/effect-ledger.ts';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import { APPLIED } from '../../testing/effect-ledger-fixture.ts';
import { createEngineBench, intentOf, type PaymentTool } from './support-engine.ts';
import { newCase, useEngine } from './support-engine-suite.ts';

const at = useEngine();

interface Performed {
  readonly outcome: EffectOutcome;
  /** How often the ledger was asked for the effect. */
  readonly looks: number;
}

/** Stores the effect, lets `since` happen, and performs it as the process that has stored it. */
async function perform(
  tool: PaymentTool,
  intent: EffectIntent,
  {
    since,
    seqSeen = 0,
  }: { readonly since?: () => Promise<unknown>; readonly seqSeen?: number } = {},
): Promise<Performed> {
  await at.under.ledger.intend([intent]);
  const stored = await at.ledger.read(intent);
  await since?.();
  let looks = 0;
  const engine = createEngineBench({
    ledger: {
      ...at.under.ledger,
      begin(...asked) {
        looks += 1;
        return at.under.ledger.begin(...asked);
      },
    },
  });
  const outcome = await engine.perform(tool, intent, { seqSeen, stored });
  return { outcome, looks };
}

describe('an effect that was stored a moment ago', () => {
  it('as it was stored → sent without a look, one receipt', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool, { identityHash: randomUUID() });
    const { outcome, looks } = await perform(tool, intent);
    expect(outcome).toMatchObject({ kind: 'applied', alreadyApplied: false, seq: 1 });
    expect(looks).toBe(0);
    expect(at.writesOf(reference)).toHaveLength(1);
    expect(at.receiptsOf(reference)).toBe(1);
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'applied']);
  });

  it('its run paused since → paused, nothing sent', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    const since = (): Promise<void> => at.under.setControl('acme', intent.runKey, { paused: true });
    const { outcome, looks } = await perform(tool, intent, { since });
    expect(outcome).toEqual({ kind: 'paused' });
    expect(looks).toBe(1);
    expect(at.writesOf(reference)).toEqual([]);
  });

  it('its run cancelled since → refused: cancelled, nothing sent', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    const since = (): Promise<void> =>
      at.under.setControl('acme', intent.runKey, { cancelled: true });
    const { outcome } = await perform(tool, intent, { since });
    expect(outcome).toMatchObject({ kind: 'refused', code: 'cancelled' });
    expect(at.writesOf(reference)).toEqual([]);
  });

  guarantee(
    'identity-once',
    'the same intention was applied since by another run → its outcome, no second receipt',
    async () => {
      const tool = at.keyed();
      const input = { reference: `INV-${randomUUID()}`, cents: 100 };
      const [first, second] = [randomUUID(), randomUUID()].map(() =>
        intentOf(tool, input, { identityHash: input.reference }),
      );
      if (!first || !second) throw new Error('two intents');
      const since = (): Promise<EffectOutcome> => at.engine.perform(tool, first);
      const { outcome } = await perform(tool, second, { since });
      expect(outcome).toMatchObject({ kind: 'applied', alreadyApplied: true });
      expect(at.writesOf(input.reference)).toHaveLength(1);
      expect(at.receiptsOf(input.reference)).toBe(1);
    },
  );

  guarantee(
    'law-12-rolled-back',
    'a ledger that is older than what its run has seen → Ledger.RolledBack, nothing sent',
    async () => {
      const tool = at.keyed();
      const { reference, intent } = newCase(tool);
      await expect(perform(tool, intent, { seqSeen: 1 })).rejects.toMatchObject({
        type: 'Ledger.RolledBack',
        nonRetryable: true,
      });
      expect(at.writesOf(reference)).toEqual([]);
    },
  );

  it('settled by somebody since → that outcome, nothing sent', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    const since = (): Promise<unknown> => at.ledger.append(intent, APPLIED);
    const { outcome } = await perform(tool, intent, { since });
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect(at.writesOf(reference)).toEqual([]);
  });

  it('a tool with a limit of calls → it is looked at: the limit counts under a lock', async () => {
    const tool = at.keyed(undefined, { limits: { callsPerRun: 1 } });
    const { reference, intent } = newCase(tool);
    const { outcome, looks } = await perform(tool, intent);
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect(looks).toBeGreaterThan(0);
    expect(at.receiptsOf(reference)).toBe(1);
  });
});
