// Look-ups that fail: asked again for a while, by attempts and by sweeps, and never taken for an absent.
import { afterEach, describe, expect } from '@jest/globals';
import { type Clock, systemClock } from '../../activities/clock.ts';
import { noCrash } from '../../activities/effects/crash-points.ts';
import { reconcile, type SweepReport } from '../../activities/effects/reconcile.ts';
import type { EffectIntent } from '../../activities/ledger/effect-ledger.ts';
import { LOOK_PATIENCE_MS } from '../../domain/rules/next-move.ts';
import { absent, found, type ProbeResult } from '../../domain/schemas/outcomes.ts';
import { guarantee } from '../guarantee.ts';
import { type LocalServer, serve } from '../unit/local-server.ts';
import { paymentTool, type PaymentTool, type Receipt } from './support-engine.ts';
import { newCase, useEngine } from './support-engine-suite.ts';

const TEST_MS = 60_000;
const at = useEngine();
const servers: LocalServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

type Look = () => Promise<ProbeResult<Receipt>>;

/** A sent payment of a workflow that is gone, whose lease and settle window are over. */
async function orphan(look: Look): Promise<{ tool: PaymentTool; intent: EffectIntent }> {
  const tool = paymentTool({ effect: { probe: look } });
  const { intent } = newCase(tool, { workflowId: 'workflow-gone' });
  await at.under.ledger.intend([intent]);
  const granted = await at.ledger.dispatch(intent, { order: 0, leaseMs: 1 });
  if (granted.kind !== 'granted') throw new Error(granted.kind);
  await at.under.pass(intent, 60_000);
  return { tool, intent };
}

function sweep(tool: PaymentTool, clock = systemClock): Promise<SweepReport> {
  return reconcile({
    ...at.under,
    tools: new Map([[tool.name, tool]]),
    wire: fetch,
    crash: noCrash,
    clock,
    workflows: { isRunning: () => Promise.resolve(false), signal: () => Promise.resolve(false) },
  });
}

const statusOf = async (intent: EffectIntent): Promise<string> =>
  (await at.ledger.read(intent)).state.status;

/** Deadlines come soon, and pauses pass at once. */
function createHurriedClock(): Clock {
  let sleptMs = 0;
  return {
    nowMs: () => performance.now() + sleptMs,
    deadline: (delayMs) => systemClock.deadline(delayMs / 100),
    sleep(delayMs) {
      sleptMs += delayMs;
      return Promise.resolve();
    },
  };
}

describe('an orphan that can be asked', () => {
  guarantee(
    'law-11-reconciler',
    'the receiver does not have it → one sweep asks twice and puts it in doubt',
    async () => {
      const { tool, intent } = await orphan(() => Promise.resolve(absent()));
      expect(await sweep(tool)).toMatchObject({ doubted: 1 });
      expect((await at.ledger.read(intent)).state).toMatchObject({
        status: 'in_doubt',
        absents: 2,
      });
    },
    TEST_MS,
  );

  guarantee(
    'look-ups-fail',
    'the look-up fails twice and then finds it → applied within one sweep',
    async () => {
      let asked = 0;
      const { tool, intent } = await orphan(() => {
        asked += 1;
        return asked < 3
          ? Promise.reject(new Error('the bank restarts'))
          : Promise.resolve(found({ id: 'p_1' }));
      });
      await sweep(tool);
      expect(await statusOf(intent)).toBe('applied');
    },
    TEST_MS,
  );

  guarantee(
    'look-ups-fail',
    'the look-up fails in sweep after sweep → no doubt before two minutes of it, one after them',
    async () => {
      const { tool, intent } = await orphan(() => Promise.reject(new Error('the bank is down')));
      await sweep(tool, createHurriedClock());
      await at.under.passFailing(intent, LOOK_PATIENCE_MS - 30_000);
      await sweep(tool, createHurriedClock());
      expect(await statusOf(intent)).toBe('dispatched');
      await at.under.passFailing(intent, 30_000);
      await sweep(tool, createHurriedClock());
      const { state } = await at.ledger.read(intent);
      expect(state).toMatchObject({
        status: 'in_doubt',
        reason: expect.stringMatching(/has failed for \d+ s: Error: the bank is down/),
      });
    },
    TEST_MS,
  );

  guarantee(
    'law-11-reconciler',
    'look-ups that never answer, more than are asked at once → left behind in time, and the others are asked',
    async () => {
      const hanging = await Promise.all(
        Array.from({ length: 6 }, () => orphan(() => new Promise<never>(() => undefined))),
      );
      const { intent } = await orphan(() => Promise.resolve(found({ id: 'p_2' })));
      const look = (effect: string): Promise<ProbeResult<Receipt>> =>
        effect === intent.shortId
          ? Promise.resolve(found({ id: 'p_2' }))
          : new Promise(() => undefined);
      const tool = paymentTool({ effect: { probe: (_, ctx) => look(ctx.effect) } });
      await sweep(tool, createHurriedClock());
      expect(await statusOf(intent)).toBe('applied');
      for (const each of hanging) expect(await statusOf(each.intent)).toBe('dispatched');
    },
    TEST_MS,
  );
});

describe('a look-up that does not look at the status', () => {
  guarantee(
    'look-ups-fail',
    'a 503 that reads like "nothing found" → no absent, nothing is sent again',
    async () => {
      let isUp = false;
      const server = await serve((_request, response) => {
        response.writeHead(isUp ? 200 : 503).end(isUp ? '[{"id":"p_9"}]' : '[]');
      });
      servers.push(server);
      const tool = paymentTool({
        effect: {
          probe: async (_, { read }) => {
            const [first] = (await (await read(server.url)).json()) as Receipt[];
            return first ? found(first) : absent();
          },
        },
      });
      const { intent } = newCase(tool);
      await at.under.ledger.intend([intent]);
      await at.ledger.dispatch(intent, { order: 0, leaseMs: 1 });
      await at.under.pass(intent, 60_000);
      await expect(at.engine.attempt(tool, intent)).rejects.toThrow(
        'the look-up of pay failed: HTTP 503',
      );
      isUp = true;
      expect(await at.engine.attempt(tool, intent)).toMatchObject({ kind: 'applied' });
      expect(await at.ledger.kinds(intent)).toEqual([
        'intended',
        'dispatched',
        'probed_unclear',
        'applied',
      ]);
    },
    TEST_MS,
  );
});
