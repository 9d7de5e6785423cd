// The engine with an effect that its own process has just stored: one look less, and nothing that a look would have stopped.
import { guarantee } from '../guarantee.ts';
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { EffectIntent } from '../../activities/ledger/effect-ledger.ts';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import { APPLIED } from '../../testing/effect-ledger-fixture.ts';
import { refused } from '../../domain/schemas/outcomes.ts';
import {
  createEngineBench,
  intentOf,
  type PaymentOptions,
  paymentTool,
  type PaymentTool,
  type Receipt,
} from './support-engine.ts';
import { newCase, transfer, useEngine } from './support-engine-suite.ts';

const at = useEngine();

interface Performed {
  readonly outcome: EffectOutcome;
  /** How often the ledger was asked for the effect. */
  readonly looks: number;
  /** How often it was asked for the permit. */
  readonly permits: number;
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
  const asked = { looks: 0, permits: 0 };
  const engine = createEngineBench({
    ledger: {
      ...at.under.ledger,
      begin(...look) {
        asked.looks += 1;
        return at.under.ledger.begin(...look);
      },
      dispatch(permission) {
        asked.permits += 1;
        return at.under.ledger.dispatch(permission);
      },
    },
  });
  const outcome = await engine.perform(tool, intent, { seqSeen, stored, attemptsMax: 3 });
  return { outcome, ...asked };
}

/** How often an enquiring tool was run. */
let enquiries = 0;

/** Asks the bank first, as a careful tool does, and ends without a write. */
function enquiring(end: () => Promise<Receipt>, more: PaymentOptions = {}): PaymentTool {
  enquiries = 0;
  return at.keyed(async ({ reference }, ctx) => {
    enquiries += 1;
    await ctx.fetch(`${at.bank.url}/transfers?reference=${reference}`);
    return end();
  }, more);
}

/** What a tool may make of an enquiry: none of it is a word about a payment that somebody else has made. */
const ENDS: readonly [title: string, end: () => Promise<Receipt>, more?: PaymentOptions][] = [
  ['refuses', () => Promise.reject(refused('already_paid', 'it is paid'))],
  ['returns what it found', () => Promise.resolve({ id: 'found' })],
  [
    'throws at its only attempt',
    () => Promise.reject(new Error('no such account')),
    { retry: { maximumAttempts: 1 } },
  ],
  [
    'runs out of time',
    () => new Promise(() => undefined),
    { timeout: '200ms', retry: { maximumAttempts: 1 } },
  ],
];

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

  it('a tool with a limit of calls → it is looked at, and asks once: the limit counts under a lock', async () => {
    const tool = at.keyed(undefined, { limits: { callsPerRun: 1 } });
    const { reference, intent } = newCase(tool);
    const { outcome, looks, permits } = await perform(tool, intent);
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect({ looks, permits }).toEqual({ looks: 1, permits: 1 });
    expect(at.receiptsOf(reference)).toBe(1);
  });
});

describe.each(ENDS)(
  'stored a moment ago, by a tool that %s before it writes',
  (_title, end, more) => {
    it('and nothing in the way → looked at, and its own word counts; it is not run again', async () => {
      const tool = enquiring(end, more);
      const { outcome, looks, permits } = await perform(tool, newCase(tool).intent);
      expect(['refused', 'in_doubt']).toContain(outcome.kind);
      expect({ enquiries, looks, permits }).toEqual({ enquiries: 1, looks: 1, permits: 0 });
    });

    guarantee('identity-once', 'paid by another run before → its outcome', async () => {
      const input = { reference: `INV-${randomUUID()}`, cents: 100 };
      const identity = { identityHash: input.reference };
      const since = (): Promise<EffectOutcome> =>
        at.engine.perform(at.keyed(), intentOf(at.keyed(), input, identity));
      const tool = enquiring(end, more);
      const { outcome } = await perform(tool, intentOf(tool, input, identity), { since });
      expect(outcome).toMatchObject({ kind: 'applied', alreadyApplied: true });
      expect(at.receiptsOf(input.reference)).toBe(1);
    });

    it('its run paused since → paused, and nothing is said of it', async () => {
      const tool = enquiring(end, more);
      const { intent } = newCase(tool);
      const since = (): Promise<void> =>
        at.under.setControl('acme', intent.runKey, { paused: true });
      expect((await perform(tool, intent, { since })).outcome).toEqual({ kind: 'paused' });
      expect(await at.ledger.kinds(intent)).toEqual(['intended']);
    });

    it('its run cancelled since → refused: cancelled', async () => {
      const tool = enquiring(end, more);
      const { intent } = newCase(tool);
      const since = (): Promise<void> =>
        at.under.setControl('acme', intent.runKey, { cancelled: true });
      const { outcome } = await perform(tool, intent, { since });
      expect(outcome).toMatchObject({ kind: 'refused', code: 'cancelled' });
    });

    guarantee('law-12-rolled-back', 'a ledger that is older → Ledger.RolledBack', async () => {
      const tool = enquiring(end, more);
      const { intent } = newCase(tool);
      await expect(perform(tool, intent, { seqSeen: 1 })).rejects.toMatchObject({
        type: 'Ledger.RolledBack',
      });
      expect(await at.ledger.kinds(intent)).toEqual(['intended']);
    });
  },
);

describe('stored a moment ago, by a tool that writes twice', () => {
  it('one write on the wire, and in doubt', async () => {
    const tool = at.keyed(async ({ reference }, ctx) => {
      const [first] = await Promise.all([
        at.send(ctx, transfer(reference)),
        at.send(ctx, transfer(reference)).catch(() => undefined),
      ]);
      return first;
    });
    const { reference, intent } = newCase(tool);
    const { outcome, looks } = await perform(tool, intent);
    expect(outcome.kind).toBe('in_doubt');
    expect(looks).toBe(0);
    expect(at.writesOf(reference)).toHaveLength(1);
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'doubted']);
  });
});

describe('a transactional tool whose effect was stored a moment ago', () => {
  guarantee('law-12-rolled-back', 'a ledger that is older → Ledger.RolledBack', async () => {
    const tool = paymentTool({
      effect: { transactional: true },
      run: () => Promise.resolve({ id: 'row' }),
    });
    const { intent } = newCase(tool);
    await expect(perform(tool, intent, { seqSeen: 1 })).rejects.toMatchObject({
      type: 'Ledger.RolledBack',
    });
    expect(await at.ledger.kinds(intent)).toEqual(['intended']);
  });
});
