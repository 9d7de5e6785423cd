// What is concluded from a look (a doubt from silence, an absent from a probe) counts for the effect as it was looked at.
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../activities/clock.ts';
import { type CrashHook, CrashPoint, noCrash } from '../../activities/effects/crash-points.ts';
import { reconcile, type SweepReport } from '../../activities/effects/reconcile.ts';
import { LedgerUnavailable } from '../../activities/ledger/database.ts';
import type { EffectIntent } from '../../activities/ledger/effect-ledger.ts';
import { SETTLE_WINDOW_MS } from '../../domain/rules/next-move.ts';
import { refused } from '../../domain/schemas/outcomes.ts';
import { NOT_SENT } from '../../testing/effect-ledger-fixture.ts';
import { until } from '../../testing/until.ts';
import { guarantee } from '../guarantee.ts';
import {
  bankProbe,
  createEngineBench,
  KEY,
  paymentTool,
  type PaymentTool,
  type Receipt,
} from './support-engine.ts';
import { newCase, onceWith, transfer, useEngine } from './support-engine-suite.ts';
import { createGate, type Gate } from './support-gates.ts';

const at = useEngine();

const silent = onceWith(() => Promise.reject(new Error('never run')));
const PENDING = { kind: 'pending', reference: 'r-1', withinMs: 60_000 } as const;

/** An effect that was sent, of which nobody has heard since, and whose lease is over. */
async function overdue(tool: PaymentTool, change: Partial<EffectIntent> = {}) {
  const made = newCase(tool, change);
  await at.under.ledger.intend([made.intent]);
  const granted = await at.ledger.dispatch(made.intent, { order: 0, leaseMs: 1 });
  if (granted.kind !== 'granted') throw new Error(granted.kind);
  await at.ledger.leaseEnds(made.intent);
  return made;
}

/** Everybody who comes to this point waits until so many are there. */
function meetingAt(point: CrashPoint, count: number): CrashHook {
  const all = createGate();
  let arrived = 0;
  return (reached) => {
    if (reached !== point) return undefined;
    arrived += 1;
    if (arrived === count) all.open();
    return all.pass();
  };
}

const stoppingAt =
  (point: CrashPoint, gate: Gate): CrashHook =>
  (reached) =>
    reached === point ? gate.pass() : undefined;

/** A sweep that has looked, and asks Temporal about the workflow of what it found, stands at the gate. */
function sweepStoppingAt(gate: Gate): Promise<SweepReport> {
  return reconcile({
    ...at.under,
    tools: new Map(),
    wire: fetch,
    crash: noCrash,
    clock: systemClock,
    workflows: {
      isRunning: async () => {
        await gate.pass();
        return false;
      },
      signal: () => Promise.resolve(false),
    },
  });
}

/** Long enough for every step that a test makes meanwhile. */
const slowTool = (run: Parameters<typeof at.keyed>[0]): PaymentTool =>
  at.keyed(run, { timeout: '20s' });

const LATER = 1_000_000;
const OVERTAKEN = { type: 'Effect.Blocked', message: 'a later attempt has claimed it' };

/** A later attempt gets its permit, and is on the wire. */
async function sendLater(intent: EffectIntent): Promise<void> {
  const granted = await at.ledger.dispatch(intent, { order: LATER, by: 'later' });
  expect(granted).toMatchObject({ kind: 'granted', isResend: true });
}

describe('an effect of which nothing is heard', () => {
  guarantee(
    'law-04-facts',
    'two attempts find it at once → doubted once, told to both',
    async () => {
      const { intent } = await overdue(silent);
      const crash = meetingAt(CrashPoint.BeforeDoubt, 2);
      const engine = createEngineBench({ ledger: at.under.ledger, crash });
      const outcomes = await Promise.all([1, 2].map(() => engine.attempt(silent, intent)));
      expect(outcomes).toEqual([outcomes[0], outcomes[0]]);
      expect(outcomes[0]).toMatchObject({ kind: 'in_doubt' });
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'doubted']);
    },
  );

  guarantee(
    ['law-04-facts', 'law-11-reconciler'],
    'an attempt and a sweep find it at once → doubted once',
    async () => {
      const { intent } = await overdue(silent, { workflowId: 'workflow-at-once' });
      const gate = createGate();
      const sweeping = sweepStoppingAt(gate);
      await gate.reached;
      expect(await at.engine.attempt(silent, intent)).toMatchObject({ kind: 'in_doubt' });
      gate.open();
      expect(await sweeping).toMatchObject({ doubted: 0 });
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'doubted']);
    },
  );

  guarantee(
    'law-04-facts',
    'accepted by the receiver while an attempt is about to doubt → pending, no doubt',
    async () => {
      const { intent } = await overdue(silent);
      const gate = createGate();
      const crash = stoppingAt(CrashPoint.BeforeDoubt, gate);
      const engine = createEngineBench({ ledger: at.under.ledger, crash });
      const outcome = engine.attempt(silent, intent);
      await gate.reached;
      await at.ledger.append(intent, { fact: PENDING, fence: 1 });
      gate.open();
      expect(await outcome).toMatchObject({ kind: 'pending', reference: 'r-1' });
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'pending']);
    },
  );

  guarantee(
    ['law-04-facts', 'law-11-reconciler'],
    'accepted by the receiver while a sweep is about to doubt → pending, no doubt',
    async () => {
      const { intent } = await overdue(silent, { workflowId: 'workflow-accepted' });
      const gate = createGate();
      const sweeping = sweepStoppingAt(gate);
      await gate.reached;
      await at.ledger.append(intent, { fact: PENDING, fence: 1 });
      gate.open();
      expect(await sweeping).toMatchObject({ doubted: 0 });
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'pending']);
    },
  );
});

/** Ends of a tool before its first write. */
const ENDS: readonly [string, () => Promise<{ id: string }>][] = [
  ['refuses', () => Promise.reject(refused('already_paid', 'it is paid'))],
  ['returns nothing', () => Promise.resolve({ id: 'nothing' })],
  ['throws at its last attempt', () => Promise.reject(new Error('no route'))],
];

describe('a tool that ends before it sends', () => {
  guarantee.each('law-04-facts', ENDS)(
    '%s, and a later attempt has sent meanwhile → nothing said: the later one goes on',
    async (_title, end) => {
      const gate = createGate();
      let runs = 0;
      const tool = slowTool(async () => {
        runs += 1;
        await gate.pass();
        return end();
      });
      const { intent } = await overdue(tool);
      const outcome = at.engine.attempt(tool, intent, { claim: { attempt: 5 } });
      await gate.reached;
      await sendLater(intent);
      gate.open();
      await expect(outcome).rejects.toMatchObject(OVERTAKEN);
      expect(runs).toBe(1);
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'dispatched']);
    },
  );

  guarantee.each('law-04-facts', ENDS)(
    '%s, and a later attempt could not connect meanwhile → nothing said: the later one goes on',
    async (_title, end) => {
      const gate = createGate();
      const tool = slowTool(async () => {
        await gate.pass();
        return end();
      });
      const { intent } = newCase(tool);
      const outcome = at.engine.attempt(tool, intent, { claim: { attempt: 5 } });
      await gate.reached;
      const later = await at.ledger.dispatch(intent, { order: LATER, by: 'later' });
      expect(later).toMatchObject({ kind: 'granted', isResend: false });
      await at.ledger.append(intent, { fact: NOT_SENT, fence: 1 });
      gate.open();
      await expect(outcome).rejects.toMatchObject(OVERTAKEN);
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'not_sent']);
    },
  );

  guarantee.each('law-04-facts', ENDS)(
    '%s, and a later attempt has sent before → not even run',
    async (_title, end) => {
      let runs = 0;
      const tool = slowTool(() => {
        runs += 1;
        return end();
      });
      const { intent } = await overdue(tool);
      await sendLater(intent);
      const outcome = at.engine.attempt(tool, intent, { claim: { attempt: 5 } });
      await expect(outcome).rejects.toMatchObject(OVERTAKEN);
      expect(runs).toBe(0);
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'dispatched']);
    },
  );

  it('beside another delivery of the same attempt → waits for its lease, and goes on', async () => {
    let runs = 0;
    const run = (): Promise<Receipt> => {
      runs += 1;
      return Promise.resolve({ id: 'own' });
    };
    const tool = paymentTool({ effect: KEY, wire: 'own', run });
    const { intent } = newCase(tool);
    await at.under.ledger.intend([intent]);
    const twin = { order: LATER, by: 'twin', leaseMs: 300, request: null };
    expect(await at.ledger.dispatch(intent, twin)).toMatchObject({ kind: 'granted' });
    const { leaseUntilMs } = await at.ledger.read(intent);
    const outcome = await at.engine.attempt(tool, intent, { claim: { order: LATER } });
    expect(outcome).toMatchObject({ kind: 'applied' });
    expect(runs).toBe(1);
    expect((await at.ledger.read(intent)).leaseUntilMs).toBeGreaterThan(leaseUntilMs ?? Infinity);
  });

  it('refuses while the ledger is down → Ledger.Unavailable, and refused by the next attempt', async () => {
    const tool = slowTool(() => Promise.reject(refused('closed', 'the account is closed')));
    const { intent } = newCase(tool);
    const conclude = (): Promise<never> => Promise.reject(new LedgerUnavailable('gone'));
    const engine = createEngineBench({ ledger: { ...at.under.ledger, conclude } });
    await expect(engine.attempt(tool, intent)).rejects.toMatchObject({
      type: 'Ledger.Unavailable',
    });
    expect(await at.engine.attempt(tool, intent)).toMatchObject({
      kind: 'refused',
      code: 'closed',
    });
  });

  guarantee(
    'law-04-facts',
    '422 to a send before the last → kept, and no doubt of that',
    async () => {
      const gate = createGate();
      const tool = slowTool(async ({ reference }, ctx) => {
        const end = at.send(ctx, transfer(reference, 1));
        await end.catch(() => undefined);
        await gate.pass();
        return end;
      });
      const { intent } = newCase(tool);
      await at.under.ledger.intend([intent]);
      await at.takeKey((await at.ledger.read(intent)).wireKey);
      const outcome = at.engine.attempt(tool, intent);
      await gate.reached;
      await sendLater(intent);
      await at.ledger.append(intent, { fact: PENDING, fence: 2 });
      gate.open();
      expect(await outcome).toMatchObject({ kind: 'pending' });
      expect((await at.ledger.read(intent)).state).toMatchObject({ status: 'dispatched' });
      expect((await at.ledger.kinds(intent)).at(-1)).toBe('doubted');
    },
  );
});

describe('the same intention, applied by an earlier effect', () => {
  guarantee(
    'law-02-identity',
    'withdrawn while an attempt is about to adopt that outcome → withdrawn, no conflict',
    async () => {
      const identityHash = randomUUID();
      const tool = at.keyed();
      const first = newCase(tool, { identityHash });
      expect(await at.engine.perform(tool, first.intent)).toMatchObject({ kind: 'applied' });
      const second = newCase(tool, { identityHash, fingerprint: first.intent.fingerprint });
      const withdrawn = { kind: 'withdrawn', code: 'skipped', message: 'the run ended' } as const;
      const engine = createEngineBench({
        ledger: {
          ...at.under.ledger,
          async conclude(seen, entries) {
            await at.ledger.append(second.intent, withdrawn);
            return at.under.ledger.conclude(seen, entries);
          },
        },
      });
      const outcome = await engine.attempt(tool, second.intent);
      expect(outcome).toMatchObject({ kind: 'refused', code: 'skipped' });
      expect(await at.ledger.read(second.intent)).toMatchObject({
        sameAs: null,
        state: { status: 'refused', conflict: false },
      });
    },
  );
});

describe('a receiver that does not know an effect', () => {
  guarantee('S2-08', 'asked by two at once → one absent, not two', async () => {
    const effect = { probe: bankProbe(at.bank.url) };
    const tool = at.keyed(undefined, { effect, timeout: '20s' });
    const { intent } = await overdue(tool);
    const meets = meetingAt(CrashPoint.AfterProbe, 2);
    let asked = 0;
    const crash: CrashHook = (point, subject) => {
      if (point === CrashPoint.BeforeProbe) {
        asked += 1;
        if (asked > 2) throw new Error('asked once is enough');
      }
      return meets(point, subject);
    };
    await settled(intent);
    const engine = createEngineBench({ ledger: at.under.ledger, crash });
    const ends = await Promise.allSettled([1, 2].map(() => engine.attempt(tool, intent)));
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await at.ledger.read(intent)).state).toMatchObject({
      status: 'dispatched',
      absents: 1,
    });
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'probed_absent']);
  });
});

/** Resolves when what was sent at the end of the lease would be visible. */
async function settled(intent: EffectIntent): Promise<void> {
  const { leaseUntilMs } = await at.ledger.read(intent);
  await until(async () => {
    const begin = await at.under.ledger.begin(intent.tenant, intent.id, intent.rootKey);
    return (begin?.nowMs ?? 0) > (leaseUntilMs ?? Infinity) + SETTLE_WINDOW_MS;
  });
}
