// Doubts of a plain workflow: what they cost in history, whom a settlement wakes, and what Temporal's UI says meanwhile.
import { join } from 'node:path';
import { describe, expect } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import pg from 'pg';
import type { EffectView } from '../../client/effect-views.ts';
import { type Receivers, type TestRun, until, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { notifyTool } from './clerk.ts';

const DAY_S = 86_400;
/** What one look may add: two workflow tasks, an activity, a timer that ends and one that begins, a signal. */
const EVENTS_PER_LOOK_MAX = 12;
const options = {
  tools: (r: Receivers) => [notifyTool(r)],
  workflowsPath: join(import.meta.dirname, 'fixtures/plain-workflows.ts'),
};

interface Seen {
  readonly activities: readonly string[];
  readonly timers: readonly { readonly seconds: number; readonly summary: string }[];
  readonly events: number;
}

/** The summaries that Temporal's UI shows, and how many events there are. */
async function look(handle: WorkflowHandle): Promise<Seen> {
  const { events } = await handle.fetchHistory();
  const all = events ?? [];
  const summaryOf = (event: (typeof all)[number]): string => {
    const data = event.userMetadata?.summary?.data;
    return data ? (JSON.parse(Buffer.from(data).toString('utf8')) as string) : '';
  };
  return {
    activities: all
      .filter((event) => event.activityTaskScheduledEventAttributes)
      .map((event) => summaryOf(event)),
    timers: all.flatMap((event) => {
      const { startToFireTimeout } = event.timerStartedEventAttributes ?? {};
      if (!startToFireTimeout) return [];
      return [{ seconds: Number(startToFireTimeout.seconds), summary: summaryOf(event) }];
    }),
    events: all.length,
  };
}

/** Both messages are sent, and nobody knows what became of them. */
async function bothInDoubt(t: TestRun, reference: string) {
  for (const name of ['a', 'b']) {
    t.mailbox.setMode({ reference: `${reference}-${name}` }, 'commit-then-reset');
  }
  const workflowId = `doubts-${t.taskQueue}`;
  const handle = await t.temporal.workflow.start('notifyBoth', {
    workflowId,
    taskQueue: t.taskQueue,
    args: [{ runKey: workflowId, reference }],
  });
  const doubts = await until(async () => {
    const found = await t.client.doubts();
    return found.length === 2 ? found : undefined;
  });
  await until(async () => (await look(handle)).timers.length === 2);
  return { handle, doubts };
}

async function settle(t: TestRun, { effect }: EffectView): Promise<void> {
  const outcome = { outcome: 'applied', output: { messageId: effect } } as const;
  await t.client.settle(effect, { ...outcome, evidence: 'in the inbox', by: 'ann' });
}

/** The row alone, as of a client that died before it could signal. */
async function writeSettlement(t: TestRun, { id, effect }: EffectView): Promise<void> {
  const client = new pg.Client({ connectionString: t.databaseUrl });
  await client.connect();
  await client.query(
    `insert into pawl.settlements (tenant, effect_id, id, outcome, output, evidence, settled_by)
     values ('default', $1, $2, 'applied', '{"messageId":"by hand"}', 'in the inbox', 'ann')`,
    [id, `st_${effect}`],
  );
  await client.end();
}

describe('two doubts in one workflow', () => {
  guarantee(
    'doubts-are-quiet',
    'nothing happens → one look a day; one is settled → only that one looks again, within a dozen events',
    () =>
      withTestRun(options, async (t) => {
        const { handle, doubts } = await bothInDoubt(t, 'quiet');
        const before = await look(handle);
        expect(before.activities).toEqual(['notify', 'notify']);
        for (const { seconds, summary } of before.timers) {
          expect(seconds).toBe(DAY_S);
          expect(summary).toMatch(/^notify · in doubt: pawl settle ef_\w+; next look in 1 d$/);
        }
        const [first, second] = doubts;
        if (!first || !second) throw new Error('two doubts');
        const metadata = await handle.query<{ currentDetails?: string }>(
          '__temporal_workflow_metadata',
        );
        for (const { effect } of doubts) {
          expect(metadata.currentDetails).toContain(
            `**notify** is in doubt: \`pawl settle ${effect}\``,
          );
        }
        await settle(t, first);
        const after = await until(async () => {
          const seen = await look(handle);
          return seen.activities.length > 2 && (await isIdle(handle)) ? seen : undefined;
        });
        expect(after.activities).toEqual(['notify', 'notify', 'notify · in doubt, look 2']);
        expect(after.events - before.events).toBeLessThanOrEqual(EVENTS_PER_LOOK_MAX);
        await settle(t, second);
        expect([...(await handle.result())].sort()).toEqual([first.effect, second.effect].sort());
        expect((await look(handle)).activities).toHaveLength(4);
        expect(t.mailbox.requests()).toHaveLength(2);
      }),
  );

  guarantee('doubts-are-quiet', 'a signal of an older build, which names nobody → both look', () =>
    withTestRun(options, async (t) => {
      const { handle, doubts } = await bothInDoubt(t, 'older');
      await handle.signal('pawl.settled');
      await until(async () => (await look(handle)).activities.length === 4);
      for (const doubt of doubts) await settle(t, doubt);
      await handle.result();
    }),
  );

  guarantee(
    ['doubts-are-quiet', 'law-11-reconciler'],
    'settlements whose signals are lost → the next sweep signals, long before the day is over',
    () =>
      withTestRun({ ...options, worker: { reconcileEveryMs: 1_000 } }, async (t) => {
        const { handle, doubts } = await bothInDoubt(t, 'lost');
        for (const doubt of doubts) await writeSettlement(t, doubt);
        expect(await handle.result()).toEqual(['by hand', 'by hand']);
      }),
  );
});

async function isIdle(handle: WorkflowHandle): Promise<boolean> {
  const { raw } = await handle.describe();
  return (raw.pendingActivities ?? []).length === 0 && !raw.pendingWorkflowTask;
}
