// What is concluded from a look (a doubt from silence, an absent from a probe) counts for the effect as it was looked at.
import { describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
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

/** A later attempt gets its permit, and is on the wire. */
async function sendLater(intent: EffectIntent): Promise<void> {
  const granted = await at.ledger.dispatch(intent, { order: 1_000_000, by: 'later' });
  expect(granted).toMatchObject({ kind: 'granted', isResend: true });
}

/** An engine, and how often an attempt of it has waited for somebody else. */
function watched() {
  const waits = { count: 0 };
  const crash: CrashHook = (point) => {
    if (point === CrashPoint.LeaseWait) waits.count += 1;
  };
  return {
    engine: createEngineBench({ ledger: at.under.ledger, crash }),
    waits,
    hasWaited: () =>
      until(() => waits.count >= 2, { what: 'the attempt to stand back', timeoutMs: 10_000 }),
  };
}

/** The bank knows the key, with another body. */
async function payOtherwise(reference: string, wireKey: string): Promise<void> {
  const answer = await fetch(`${at.bank.url}/transfers`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': wireKey },
    body: transfer(`OTHER-${reference}`, 999),
  });
  expect(answer.ok).toBe(true);
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

describe('a tool that ends before it sends again', () => {
  guarantee.each('law-04-facts', ENDS)(
    '%s, and a later attempt has sent meanwhile → it stands back, and tells the outcome of that send',
    async (_title, end) => {
      const gate = createGate();
      let runs = 0;
      const tool = slowTool(async () => {
        runs += 1;
        await gate.pass();
        return end();
      });
      const { intent } = await overdue(tool);
      const { engine, hasWaited } = watched();
      const outcome = engine.attempt(tool, intent, { claim: { attempt: 4 } });
      await gate.reached;
      await sendLater(intent);
      gate.open();
      await hasWaited();
      expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'dispatched']);
      await at.ledger.append(intent, { fact: APPLIED, fence: 2 });
      expect(await outcome).toMatchObject({ kind: 'applied' });
      expect(runs).toBe(1);
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
      const { engine, hasWaited } = watched();
      const outcome = engine.attempt(tool, intent, { claim: { attempt: 4 } });
      await hasWaited();
      await at.ledger.append(intent, { fact: APPLIED, fence: 2 });
      expect(await outcome).toMatchObject({ kind: 'applied' });
      expect(runs).toBe(0);
      expect(await at.ledger.kinds(intent)).toEqual([
        'intended',
        'dispatched',
        'dispatched',
        'applied',
      ]);
    },
  );

  it('given up by Temporal while it stands back → it ends, and says nothing', async () => {
    const tool = slowTool(() => Promise.reject(new Error('not run')));
    const { intent } = await overdue(tool);
    await sendLater(intent);
    const { engine, waits } = watched();
    const isGivenUp = (): boolean => waits.count >= 2;
    await expect(engine.attempt(tool, intent, { isGivenUp })).rejects.toMatchObject({
      type: 'Effect.NotSent',
    });
    expect(await at.ledger.kinds(intent)).toEqual(['intended', 'dispatched', 'dispatched']);
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
      const { reference, intent } = newCase(tool);
      await at.under.ledger.intend([intent]);
      await payOtherwise(reference, (await at.ledger.read(intent)).wireKey);
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
