// effect() in workflows without an agent: the same ledger, the same promises.
import { join } from 'node:path';
import type { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import { describe, expect, it } from '@jest/globals';
import { type Receivers, type TestRun, until, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { CACHES, lookUpTool, notifyTool, payTool } from './clerk.ts';
import type { Order } from './fixtures/plain-workflows.ts';

const tools = (r: Receivers) => [
  lookUpTool(r),
  payTool(r),
  payTool(r, { name: 'pay_again', hasIdentity: false }),
  notifyTool(r),
];

let orders = 0;

interface StartedOrder {
  readonly workflowId: string;
  result(): Promise<unknown>;
}

/** Starts a plain workflow for an order; the process key is the order's, not the workflow's. */
async function start(
  t: TestRun,
  workflow: string,
  order: Partial<Order> = {},
): Promise<StartedOrder> {
  orders += 1;
  const workflowId = `${workflow}-${t.taskQueue}-${orders}`;
  const args = [{ runKey: `order-${orders}`, reference: 'r-1', ...order }];
  const handle = await t.temporal.workflow.start(workflow, {
    workflowId,
    taskQueue: t.taskQueue,
    args,
  });
  return { workflowId, result: () => handle.result() };
}

/** The failure inside of the one that the client throws. */
async function failureOf(running: Promise<unknown>): Promise<ApplicationFailure> {
  const error: unknown = await running.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof WorkflowFailedError && error.cause instanceof Error) {
    let cause = error.cause;
    while (cause.cause instanceof Error) cause = cause.cause;
    return cause as ApplicationFailure;
  }
  throw new Error(`a failed workflow was expected, not ${String(error)}`);
}

describe.each(CACHES)('effect() in a plain workflow, %s', (_title, maxCachedWorkflows) => {
  const options = {
    tools,
    workflowsPath: join(import.meta.dirname, 'fixtures/plain-workflows.ts'),
    maxCachedWorkflows,
  };

  it('a read and a payment → their outputs, one receipt', async () => {
    await withTestRun(options, async (t) => {
      const order = await start(t, 'payOrder');
      expect(await order.result()).toBe(`${t.bank.receipts()[0]?.receiptId} after 0`);
      expect(t.bank.requests({ method: 'POST' })).toHaveLength(1);
    });
  });

  guarantee(
    'law-01-ids',
    'the same process executed again under another workflow id → recorded outcomes, nothing is sent again',
    async () => {
      await withTestRun(options, async (t) => {
        const first = await (await start(t, 'payTwice', { runKey: 'order-x' })).result();
        expect(t.bank.receipts()).toHaveLength(2);
        const again = await (await start(t, 'payTwice', { runKey: 'order-x' })).result();
        expect(again).toEqual(first);
        expect(t.bank.requests({ method: 'POST' })).toHaveLength(2);
      });
    },
  );

  it('other arguments under the same step → refused by name, the first payment stands', async () => {
    await withTestRun(options, async (t) => {
      const failure = await failureOf((await start(t, 'payOtherwise')).result());
      expect(failure).toMatchObject({
        type: 'Effect.ArgumentsDiffer',
        message: expect.stringContaining('was intended with other arguments'),
      });
      expect(t.bank.receipts().map(({ amountMinor }) => amountMinor)).toEqual([2_000]);
    });
  });

  it('the receiver refuses → ApplicationFailure Effect.Refused with its code, not retried', async () => {
    await withTestRun(options, async (t) => {
      t.bank.setMode('r-1', 'reject-before-commit');
      const failure = await failureOf((await start(t, 'payOrder')).result());
      expect(failure).toMatchObject({
        type: 'Effect.Refused',
        message: 'Declined. The request was not executed.',
        details: ['card_declined'],
        nonRetryable: true,
      });
      expect(t.bank.requests({ method: 'POST' })).toHaveLength(1);
    });
  });

  guarantee(
    'F-05',
    'a once effect whose answer is lost → one send, in doubt, the workflow waits; settled, it goes on',
    async () => {
      await withTestRun(options, async (t) => {
        t.mailbox.setMode('r-1', 'commit-then-reset');
        const order = await start(t, 'notifyTeam');
        const [doubt] = await until(async () => {
          const doubts = await t.client.doubts();
          return doubts.length > 0 && doubts;
        });
        expect(doubt).toMatchObject({ status: 'in_doubt', contract: 'once', sends: 1 });
        expect(doubt?.workflowId).toBe(order.workflowId);
        // A signal alone settles nothing.
        const handle = t.temporal.workflow.getHandle(order.workflowId);
        await handle.signal('pawl.settled', { v: 1, effect: doubt?.effect, settlement: 'st_none' });
        const answer = await t.client.settle(doubt?.effect ?? '', {
          outcome: 'applied',
          output: { messageId: 'msg_seen' },
          evidence: 'it is in the inbox',
          by: 'ann',
        });
        expect(answer.wake).toEqual({ kind: 'delivered' });
        expect(await order.result()).toBe('msg_seen');
        expect(t.mailbox.requests()).toHaveLength(1);
      });
    },
  );

  it('a doubt that is settled as not applied → Effect.Refused, and it is not sent again', async () => {
    // The doubt comes when its time is over, so that is short.
    const hasty = (r: Receivers) => [notifyTool(r, { timeout: '2s' })];
    await withTestRun({ ...options, tools: hasty }, async (t) => {
      t.mailbox.setMode('r-1', 'hang-before-commit');
      const order = await start(t, 'notifyTeam');
      const [doubt] = await until(async () => {
        const doubts = await t.client.doubts();
        return doubts.length > 0 && doubts;
      });
      expect(doubt).toMatchObject({ status: 'in_doubt', sends: 1 });
      await t.client.settle(doubt?.effect ?? '', {
        outcome: 'not_applied',
        evidence: 'the mail server has no trace of it',
        by: 'ann',
      });
      expect(await failureOf(order.result())).toMatchObject({
        type: 'Effect.Refused',
        details: ['not_applied'],
      });
      const { effect } = await t.client.why(doubt?.effect ?? '');
      expect(effect).toMatchObject({ status: 'refused', sends: 1 });
      // None, if this process stood still until the deadline, before a byte had left.
      expect(t.mailbox.requests().length).toBeLessThanOrEqual(1);
      expect(t.mailbox.receipts()).toEqual([]);
    });
  });
});
