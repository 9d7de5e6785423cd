// What is concluded from a look (a doubt from silence, an absent from a probe) counts for the effect as it was looked at.
import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../activities/clock.ts';
import { type CrashHook, CrashPoint, noCrash } from '../../activities/effects/crash-points.ts';
import { reconcile, type SweepReport } from '../../activities/effects/reconcile.ts';
import type { EffectIntent } from '../../activities/ledger/effect-ledger.ts';
import { SETTLE_WINDOW_MS } from '../../domain/rules/next-move.ts';
import { refused } from '../../domain/schemas/outcomes.ts';
import { APPLIED } from '../../testing/effect-ledger-fixture.ts';
import { until } from '../../testing/until.ts';
import { guarantee } from '../guarantee.ts';
import { bankProbe, createEngineBench, type PaymentTool } from './support-engine.ts';
import { newCase, onceWith, useEngine } from './support-engine-suite.ts';
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
      expect(await sweeping).toMatchObject({ overdue: 1, doubted: 0 });
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
      expect(await sweeping).toMatchObject({ overdue: 1, doubted: 0 });
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'pending']);
    },
  );
});

describe('a tool that fails before it sends again', () => {
  it.each([
    ['refuses', refused('already_paid', 'it is paid')],
    ['returns nothing', undefined],
    ['throws at its last attempt', new Error('no route')],
  ])(
    '%s, and a later attempt has sent meanwhile → no doubt: the outcome of that send',
    async (_title, end) => {
      const gate = createGate();
      const tool = at.keyed(
        async () => {
          await gate.pass();
          if (end) throw end;
          return { id: 'nothing' };
        },
        { retry: { maximumAttempts: 4 } },
      );
      const { intent } = await overdue(tool);
      const outcome = at.engine.attempt(tool, intent, { claim: { attempt: 4 } });
      await gate.reached;
      const later = await at.ledger.dispatch(intent, { order: 1_000_000, by: 'later' });
      expect(later).toMatchObject({ kind: 'granted', isResend: true });
      gate.open();
      // The first attempt asks for a permit of its own, and waits for the one that has it.
      await at.ledger.append(intent, { fact: APPLIED, fence: 2 });
      expect(await outcome).toMatchObject({ kind: 'applied' });
      expect(await at.ledger.kinds(intent)).toEqual([
        'intended',
        'dispatched',
        'dispatched',
        'applied',
      ]);
    },
  );
});

describe('a receiver that does not know an effect', () => {
  guarantee('S2-08', 'asked by two at once → one absent, not two', async () => {
    const tool = at.keyed(undefined, { effect: { probe: bankProbe(at.bank.url) } });
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
