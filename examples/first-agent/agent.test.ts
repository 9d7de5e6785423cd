// The README's first agent on real servers: a human approves, the worker dies in the middle, one refund.
import { describe, expect, it } from '@jest/globals';
import { crashAt, withTestRun } from 'pawl/testing';
import { support } from './agent.ts';

describe('the first agent', () => {
  it('a refund is approved and the worker dies behind the send → one refund', () =>
    withTestRun(
      {
        agents: [support],
        model: [
          { toolCalls: [{ name: 'refund', arguments: { orderId: 'ord_88', cents: 2000 } }] },
          { text: '{"resolved":true}' },
        ],
        crash: crashAt('after-send', 'refund'),
      },
      async (t) => {
        process.env['PAYMENTS_URL'] = t.bank.url;
        const run = await t.start(support, { ticket: 'Order ord_88 arrived broken.' });
        const approval = await t.nextApproval(run.runKey);
        await t.client.approve(approval.id, { approver: 'anna' });
        const { result, output } = await run.result();
        expect(result?.kind).toBe('completed');
        expect(output).toEqual({ resolved: true });
        expect(t.bank.receipts()).toHaveLength(1);
        expect(t.bank.requests({ method: 'POST' })).toHaveLength(2);
      },
    ));
});
