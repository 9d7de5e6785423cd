// Sweeps of the reconciler over many effects: its limit, whom it leaves alone, and that nobody keeps others waiting.
import { afterEach, beforeEach, describe, expect } from '@jest/globals';
import { systemClock } from '../../activities/clock.ts';
import { noCrash } from '../../activities/effects/crash-points.ts';
import { reconcile, type SweepReport } from '../../activities/effects/reconcile.ts';
import type { EffectIntent } from '../../activities/ledger/effect-ledger.ts';
import { absent, found, type ProbeResult } from '../../domain/schemas/outcomes.ts';
import { newClaim, newIntent } from '../../testing/effect-ledger-fixture.ts';
import { until } from '../../testing/until.ts';
import { guarantee } from '../guarantee.ts';
import { paymentTool, type PaymentTool, type Receipt } from './support-engine.ts';
import { createLedgerBench, type LedgerBench } from './support-ledger.ts';

const TEST_MS = 120_000;
const DAY_MS = 86_400_000;
const GONE = 'workflow-gone';
const ALIVE = 'workflow-alive';
const BROKEN = 'workflow-broken';
let under: LedgerBench;

beforeEach(async () => {
  under = await createLedgerBench();
});
afterEach(() => under.close());

const KEYED = {
  contract: 'keyed',
  keyRetentionMs: DAY_MS,
  arguments: { reference: 'r', cents: 1 },
};

/** Sent effects that nobody has heard of since, and whose lease is over. */
async function overdue(count: number, change: Partial<EffectIntent>): Promise<EffectIntent[]> {
  const intents = Array.from({ length: count }, () => newIntent({ ...change }));
  await under.ledger.intend(intents);
  const permissions = intents.map(({ tenant, id }) =>
    under.ledger.dispatch({
      tenant,
      id,
      claim: newClaim({ leaseMs: 1 }),
      request: null,
      callsPerRunMax: undefined,
      ignoresIdentity: true,
    }),
  );
  await Promise.all(permissions);
  const ids = new Set(intents.map(({ id }) => id));
  await until(async () => {
    const seen = await under.ledger.findOverdue(10_000);
    return seen.filter(({ id }) => ids.has(id)).length === count;
  });
  return intents;
}

function sweep(...tools: PaymentTool[]): Promise<SweepReport> {
  return reconcile({
    ...under,
    tools: new Map(tools.map((tool) => [tool.name, tool])),
    wire: fetch,
    crash: noCrash,
    clock: systemClock,
    workflows: {
      isRunning: (workflowId) =>
        workflowId === BROKEN
          ? Promise.reject(new Error(`Temporal cannot tell about ${workflowId}`))
          : Promise.resolve(workflowId === ALIVE),
      signal: () => Promise.resolve(false),
    },
  });
}

async function statuses(): Promise<Record<string, number>> {
  const rows = await under.database.query<{ who: string; count: number }>(
    `select coalesce(workflow_id, '-') || ' ' || status as who, count(*) as count
     from pawl.effects group by 1 order by 1`,
  );
  return Object.fromEntries(rows.map(({ who, count }) => [who, count]));
}

const probing = (probe: () => ProbeResult<Receipt>): PaymentTool =>
  paymentTool({
    effect: { key: { retention: '24h' }, probe: () => Promise.resolve(probe()) },
  });

describe('a sweep', () => {
  guarantee(
    'law-11-reconciler',
    '300 overdue at once → 200 in doubt, the other 100 with the next one',
    async () => {
      await overdue(300, { contract: 'once', workflowId: GONE });
      expect(await sweep()).toMatchObject({ overdue: 200, doubted: 200 });
      expect(await statuses()).toEqual({ [`${GONE} dispatched`]: 100, [`${GONE} in_doubt`]: 200 });
      expect(await sweep()).toMatchObject({ overdue: 100, doubted: 100 });
      expect(await statuses()).toEqual({ [`${GONE} in_doubt`]: 300 });
    },
    TEST_MS,
  );

  guarantee(
    'law-11-reconciler',
    '250 that live workflows are about to send again, and 5 younger ones of a dead one → those 5 are in doubt, the 250 untouched',
    async () => {
      await overdue(250, { ...KEYED, contract: 'keyed', workflowId: ALIVE });
      await overdue(5, { ...KEYED, contract: 'keyed', workflowId: GONE });
      expect(await sweep()).toMatchObject({ doubted: 5 });
      expect(await statuses()).toEqual({ [`${ALIVE} dispatched`]: 250, [`${GONE} in_doubt`]: 5 });
    },
    TEST_MS,
  );

  guarantee(
    'law-11-reconciler',
    'one that cannot be looked after → the others are, and the sweep fails with its cause',
    async () => {
      await overdue(1, { ...KEYED, contract: 'keyed', workflowId: BROKEN });
      await overdue(3, { contract: 'once', workflowId: GONE });
      await expect(sweep()).rejects.toThrow('Temporal cannot tell about workflow-broken');
      expect(await statuses()).toEqual({ [`${BROKEN} dispatched`]: 1, [`${GONE} in_doubt`]: 3 });
    },
    TEST_MS,
  );
});

describe('a keyed effect with a probe', () => {
  const one = { ...KEYED, contract: 'keyed', hasProbe: true } as const;

  guarantee(
    'law-11-reconciler',
    'its workflow is gone, the probe finds it → applied, no doubt',
    async () => {
      await overdue(1, { ...one, workflowId: GONE });
      const tool = probing(() => found({ id: 'p_1' }));
      expect(await sweep(tool)).toMatchObject({ probed: 1, doubted: 0 });
      expect(await statuses()).toEqual({ [`${GONE} applied`]: 1 });
    },
    TEST_MS,
  );

  guarantee(
    'law-11-reconciler',
    'its workflow is gone, the probe finds nothing → in doubt once that is conclusive, and the doubt says so',
    async () => {
      await overdue(1, { ...one, workflowId: GONE });
      const tool = probing(absent);
      await until(async () => (await sweep(tool)).doubted === 1);
      const [row] = await under.database.query<{ reason: string }>(
        'select reason from pawl.effects',
      );
      expect(row?.reason).toMatch(/did not find it.*its workflow is gone/);
    },
    TEST_MS,
  );

  guarantee(
    'law-11-reconciler',
    'its workflow lives → left to it, not even probed',
    async () => {
      await overdue(1, { ...one, workflowId: ALIVE });
      expect(await sweep(probing(absent))).toMatchObject({ probed: 0, doubted: 0 });
      expect(await statuses()).toEqual({ [`${ALIVE} dispatched`]: 1 });
    },
    TEST_MS,
  );
});
