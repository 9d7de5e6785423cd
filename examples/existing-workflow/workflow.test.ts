// The order workflow on real servers: the worker dies behind the send, and a second cancellation asks for the same refund.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { crashAt, type TestRun, withTestRun } from 'pawl/testing';
import * as activities from './activities.ts';
import { refund } from './tools.ts';

const options = {
  tools: [refund],
  worker: { activities },
  workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
};

function cancel(t: TestRun, workflowId: string): Promise<unknown> {
  return t.temporal.workflow.execute('cancelOrder', {
    workflowId: `${workflowId}-${t.taskQueue}`,
    taskQueue: t.taskQueue,
    args: ['ord_88'],
  });
}

describe('the order workflow', () => {
  it('the worker dies behind the send, and the order is cancelled twice → one refund', () =>
    withTestRun({ ...options, crash: crashAt('after-send', 'refund') }, async (t) => {
      process.env['PAYMENTS_URL'] = t.bank.url;
      const first = await cancel(t, 'first');
      const second = await cancel(t, 'second');
      expect(second).toBe(first);
      expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['ord_88']);
    }));

  it('an activity with a name of Pawl’s → refused before any task is taken', async () => {
    const worker = { activities: { 'tool.refund': activities.findOrder } };
    await expect(withTestRun({ ...options, worker }, () => Promise.resolve())).rejects.toThrow(
      'The activity name "tool.refund" is Pawl\'s own',
    );
  });
});
