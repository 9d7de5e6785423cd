// The engine with an effect that its own process has just stored: one look less, and nothing that a look would have stopped.
import { guarantee } from '../guarantee.ts';
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CrashHook } from '../../activities/effects/crash-points.ts';
import { LedgerUnavailable } from '../../activities/ledger/database.ts';
import type { Claim, EffectIntent, EffectRecord } from '../../activities/ledger/effect-ledger.ts';
import type { EffectOutcome } from '../../domain/rules/effect-outcome.ts';
import { APPLIED, newClaim, REQUEST } from '../../testing/effect-ledger-fixture.ts';
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

/** An engine that counts what it asks the ledger; `atPermit` runs before it is asked for one. */
function watchedEngine(atPermit: () => void = () => undefined) {
  const asked = { looks: 0, permits: 0 };
  const engine = createEngineBench({
    ledger: {
      ...at.under.ledger,
      begin(...look) {
        asked.looks += 1;
        return at.under.ledger.begin(...look);
      },
      async dispatch(permission) {
        asked.permits += 1;
        atPermit();
        return at.under.ledger.dispatch(permission);
      },
    },
  });
  return { engine, asked };
}

/** Stores the effect; what its process holds of it then. */
async function store(intent: EffectIntent): Promise<EffectRecord> {
  await at.under.ledger.intend([intent]);
  return at.ledger.read(intent);
}

/** Stores the effect, lets `since` happen, and performs it as the process that has stored it. */
async function perform(
  tool: PaymentTool,
  intent: EffectIntent,
  {
    since,
    seqSeen = 0,
    claim = {},
  }: {
    readonly since?: () => Promise<unknown>;
    readonly seqSeen?: number;
    readonly claim?: Partial<Claim>;
  } = {},
): Promise<Performed> {
  const stored = await store(intent);
  await since?.();
  const { engine, asked } = watchedEngine();
  const outcome = await engine.perform(tool, intent, { seqSeen, stored, claim, attemptsMax: 3 });
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
interface End {
  readonly title: string;
  readonly end: () => Promise<Receipt>;
  readonly more?: PaymentOptions;
  /** What it amounts to where nothing is in the way. */
  readonly outcome: Partial<EffectOutcome>;
}
const ONCE = { retry: { maximumAttempts: 1 } };
const ENDS: readonly End[] = [
  {
    title: 'refuses',
    end: () => Promise.reject(refused('already_paid', 'it is paid')),
    outcome: { kind: 'refused', code: 'already_paid' },
  },
  {
    title: 'returns what it found',
    end: () => Promise.resolve({ id: 'found' }),
    outcome: { kind: 'in_doubt' },
  },
  {
    title: 'throws at its only attempt',
    end: () => Promise.reject(new Error('no such account')),
    more: ONCE,
    outcome: { kind: 'refused', code: 'tool_failed' },
  },
  {
    title: 'runs out of time',
    end: () => new Promise(() => undefined),
    more: { timeout: '200ms', ...ONCE },
    outcome: { kind: 'refused', code: 'tool_failed' },
  },
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
  'stored a moment ago, by a tool that $title before it writes',
  ({ end, more, outcome: usual }) => {
    it('and nothing in the way → looked at, and its own word counts; it is not run again', async () => {
      const tool = enquiring(end, more);
      const { outcome, looks, permits } = await perform(tool, newCase(tool).intent);
      expect(outcome).toMatchObject(usual);
      expect({ enquiries, looks, permits }).toEqual({ enquiries: 1, looks: 1, permits: 0 });
    });

    it('permitted to another attempt since, which could not connect → run again on what is there now', async () => {
      const tool = enquiring(end, more);
      const { intent } = newCase(tool);
      const since = async (): Promise<void> => {
        const { tenant, id } = intent;
        const claim = newClaim({ order: 0 });
        const permit = await at.under.ledger.dispatch({
          ...{
            tenant,
            id,
            claim,
            request: REQUEST,
            callsPerRunMax: undefined,
            ignoresIdentity: false,
          },
        });
        if (permit.kind !== 'granted') throw new Error(permit.kind);
        const { fence } = permit.record;
        await at.ledger.append(intent, {
          fact: { kind: 'not_sent', reason: 'ECONNREFUSED' },
          fence,
        });
      };
      // The permit was another attempt's: this one is the second.
      const { outcome } = await perform(tool, intent, { since, claim: { attempt: 2 } });
      expect(outcome).toMatchObject(usual);
      expect(enquiries).toBe(2);
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

describe('stored a moment ago, by an attempt that does not get as far as its permit', () => {
  it('Temporal has given it up → no look, nothing said, nothing sent', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    const stored = await store(intent);
    const { engine, asked } = watchedEngine();
    const attempt = engine.attempt(tool, intent, { stored, isGivenUp: () => true });
    await expect(attempt).rejects.toMatchObject({ type: 'Effect.NotSent' });
    expect(asked).toEqual({ looks: 0, permits: 0 });
    expect(await at.ledger.kinds(intent)).toEqual(['intended']);
    expect(at.writesOf(reference)).toEqual([]);
  });

  it('the ledger does not answer → Ledger.Unavailable; then once', async () => {
    const tool = at.keyed();
    const { reference, intent } = newCase(tool);
    const stored = await store(intent);
    const { engine, asked } = watchedEngine(() => {
      throw new LedgerUnavailable(new Error('the connection was cut'));
    });
    await expect(engine.attempt(tool, intent, { stored })).rejects.toMatchObject({
      type: 'Ledger.Unavailable',
    });
    expect(asked).toEqual({ looks: 0, permits: 1 });
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
    expect(at.receiptsOf(reference)).toBe(1);
  });

  it('a wire of its own, and a lease that ends before it → not_sent, and the next attempt sends', async () => {
    let runs = 0;
    const tool = paymentTool({
      effect: 'once',
      wire: 'own',
      run: () => {
        runs += 1;
        return Promise.resolve({ id: 'own' });
      },
    });
    const { intent } = newCase(tool);
    const stored = await store(intent);
    const claim = { leaseMs: 50 };
    const crash: CrashHook = (point) => (point === 'before-send' ? sleep(60) : undefined);
    const frozen = createEngineBench({ ledger: at.under.ledger, crash });
    await expect(frozen.attempt(tool, intent, { stored, claim })).rejects.toMatchObject({
      type: 'Effect.NotSent',
    });
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'not_sent']);
    expect(runs).toBe(0);
    expect(await at.engine.perform(tool, intent)).toMatchObject({ kind: 'applied' });
  });
});

describe('a transactional tool whose effect was stored a moment ago', () => {
  let runs = 0;
  const count = (): Promise<Receipt> => {
    runs += 1;
    return Promise.resolve({ id: 'row' });
  };
  const tool = paymentTool({ effect: { transactional: true }, run: count });

  it('as it was stored → looked at, and applied by its own transaction', async () => {
    runs = 0;
    const { outcome, looks, permits } = await perform(tool, newCase(tool).intent);
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect({ runs, looks, permits }).toEqual({ runs: 1, looks: 1, permits: 0 });
  });

  guarantee(
    'law-12-rolled-back',
    'a ledger that is older → Ledger.RolledBack, not run',
    async () => {
      runs = 0;
      const { intent } = newCase(tool);
      await expect(perform(tool, intent, { seqSeen: 1 })).rejects.toMatchObject({
        type: 'Ledger.RolledBack',
      });
      expect(runs).toBe(0);
      expect(await at.ledger.kinds(intent)).toEqual(['intended']);
    },
  );
});
