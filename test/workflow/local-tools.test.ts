// Short tools: the first attempt inside of the workflow task, everything that it leaves open as an activity.
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { lastUserText, type Receivers, type TestRun, toolResults, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import {
  calls,
  clerk,
  DONE,
  LOOK_UPS,
  lookUpTool,
  notifyTool,
  pay,
  payTool,
  shownResults,
  sql,
  TASK,
} from './clerk.ts';

const SHORT = { local: true, timeout: '2s' } as const;
const tools = (r: Receivers) => [
  payTool(r, SHORT),
  lookUpTool(r, { local: true }),
  notifyTool(r, SHORT),
];
const agents = (r: Receivers) => [clerk(r, { tools: tools(r) })];

/** The attempts that a history holds, by what they were; markers are those inside of workflow tasks. */
async function attemptsOf(t: TestRun, workflowId: string): Promise<readonly string[]> {
  const { events } = await t.history(workflowId);
  return (events ?? []).flatMap((event) => {
    const marker = event.markerRecordedEventAttributes?.markerName ?? '';
    if (marker.includes('local_activity')) return ['local'];
    const type = event.activityTaskScheduledEventAttributes?.activityType?.name ?? '';
    return type.startsWith('tool.') ? [type] : [];
  });
}

interface Permits {
  readonly all: number;
  /** All but those that the ledger explains by time. */
  readonly unexplained: number;
}

/**
 * The permits of each payment. A local tool has 2 s at most: a process that stands still for longer sends again, and a bank
 * that is still at work then says 409.
 */
async function permitsOfEach(t: TestRun): Promise<readonly Permits[]> {
  const rows = await sql(
    t,
    `with counted as (
       select count(*) filter (where kind = 'dispatched')::int as permits,
         count(*) filter (where data->>'reason' ~ 'TimeoutError|the lease had ended')::int as late,
         count(*) filter (where data->>'reason' like 'HTTP 409%')::int as busy
       from pawl.effect_facts group by effect_id)
     select permits as all, permits - late - (case when late > 0 then busy else 0 end) as unexplained
     from counted`,
  );
  return rows as unknown as readonly Permits[];
}

/** Runs the clerk to its end. */
async function runClerk(t: TestRun): Promise<string> {
  const run = await t.start('clerk', TASK);
  await run.result();
  return run.runKey;
}

guarantee(
  ['law-05-write-ahead', 'S3-28'],
  '20 runs at once, with room for one of them in the cache → each payment is sent once',
  () =>
    withTestRun(
      {
        agents,
        maxCachedWorkflows: 1,
        model: (request) => {
          const run = lastUserText(request);
          const done = toolResults(request).length;
          return done < 2 ? calls(pay(`${run}-${done}`)) : DONE;
        },
      },
      async (t) => {
        const runs = Array.from({ length: 20 }, (_, run) => t.start('clerk', { task: `r${run}` }));
        const ended = await Promise.all((await Promise.all(runs)).map((run) => run.result()));
        expect(ended.map(({ result }) => result?.kind)).toEqual(Array(20).fill('completed'));
        expect(t.bank.receipts()).toHaveLength(40);
        const permits = await permitsOfEach(t);
        expect(permits.map(({ unexplained }) => unexplained)).toEqual(Array(40).fill(1));
        const permitted = permits.reduce((sum, { all }) => sum + all, 0);
        expect(t.bank.requests({ method: 'POST' }).length).toBeLessThanOrEqual(permitted);
      },
    ),
);

it('a worker that keeps no workflow in its cache → refuses to start, and says why', async () => {
  const started = withTestRun({ agents, maxCachedWorkflows: 0, model: [DONE] }, () =>
    Promise.resolve(),
  );
  await expect(started).rejects.toThrow('is local, and maxCachedWorkflows is 0');
});

describe('a local tool', () => {
  guarantee(
    ['law-05-write-ahead', 'history-linear'],
    'a read, a payment and a message → no activity of a tool, each done once',
    () =>
      withTestRun(
        {
          agents,
          model: [
            calls(['look_up', { reference: 'r-1' }]),
            calls(pay('r-1'), ['notify', { subject: 'paid' }]),
            DONE,
          ],
        },
        async (t) => {
          const runKey = await runClerk(t);
          expect(await attemptsOf(t, runKey)).toEqual(['local', 'local', 'local']);
          expect(t.bank.receipts()).toHaveLength(1);
          expect(t.bank.requests({ method: 'POST' })).toHaveLength(1);
          expect(t.mailbox.receipts()).toHaveLength(1);
        },
      ),
  );

  guarantee(
    'S2-01',
    'the receiver asks for patience → the next attempt is an activity with the same key and bytes, one receipt',
    () =>
      withTestRun({ agents, model: [calls(pay('r-2')), DONE] }, async (t) => {
        t.bank.setMode('r-2', '429', { times: 1, retryAfterSeconds: 1 });
        const runKey = await runClerk(t);
        expect(await attemptsOf(t, runKey)).toEqual(['local', 'tool.pay']);
        const sends = t.bank.requests({ method: 'POST' });
        expect(sends.map(({ idempotencyKey, body }) => `${idempotencyKey} ${body}`)).toEqual(
          Array(2).fill(`${sends[0]?.idempotencyKey} ${sends[0]?.body}`),
        );
        expect(t.bank.receipts()).toHaveLength(1);
      }),
  );

  it('the receiver commits and never answers → sent again as an activity, one receipt', () =>
    withTestRun({ agents, model: [calls(pay('r-3')), DONE] }, async (t) => {
      t.bank.setMode('r-3', 'commit-then-hang', { times: 1 });
      const runKey = await runClerk(t);
      expect(await attemptsOf(t, runKey)).toEqual(['local', 'tool.pay']);
      expect(t.bank.receipts()).toHaveLength(1);
      expect(shownResults(t).at(-1)?.text).toContain(t.bank.receipts()[0]?.receiptId);
    }));

  it('a definite no → no second attempt', () =>
    withTestRun({ agents, model: [calls(pay('r-4')), DONE] }, async (t) => {
      t.bank.setMode('r-4', 'reject-before-commit');
      const runKey = await runClerk(t);
      expect(await attemptsOf(t, runKey)).toEqual(['local']);
      expect(t.bank.requests({ method: 'POST' })).toHaveLength(1);
    }));

  it('a read that never works → as many attempts as the tool has, the local one included', () =>
    withTestRun({ agents, model: [calls(['look_up', { reference: 'r-5' }]), DONE] }, async (t) => {
      t.bank.setMode({ reference: 'r-5', method: 'GET' }, '500-before');
      const runKey = await runClerk(t);
      expect(await attemptsOf(t, runKey)).toEqual(['local', 'tool.look_up']);
      expect(t.bank.requests({ method: 'GET' })).toHaveLength(LOOK_UPS);
    }));

  it('effect() in a plain workflow → the same; a tool that is not short is refused', () =>
    withTestRun(
      {
        tools,
        workflowsPath: join(import.meta.dirname, 'fixtures/plain-workflows.ts'),
      },
      async (t) => {
        const { taskQueue } = t;
        const workflowId = `local-${taskQueue}`;
        const args = [{ runKey: `order-${taskQueue}`, reference: 'r-6' }];
        const paid = t.temporal.workflow.execute('payLocally', { workflowId, taskQueue, args });
        expect(await paid).toBe(t.bank.receipts()[0]?.receiptId);
        expect(await attemptsOf(t, workflowId)).toEqual(['local']);
        const slow = { workflowId: `slow-${taskQueue}`, taskQueue };
        expect(await t.temporal.workflow.execute('payTooSlowly', slow)).toBe(
          'TypeError: effect("pay"): a local tool\'s timeoutMs is at most 2000, not 5000',
        );
      },
    ));
});
