// The example as its user would test it: real servers, a scripted model, and the bank's own log as the judge.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { withTestRun } from 'pawl/testing';
import { createPayouts } from './agent.ts';
import { script } from './scripted-model.ts';

const file = fileURLToPath(new URL('./invoices.csv', import.meta.url));

describe('the payouts agent', () => {
  it('a dozen invoices, one approved by a human → each payable one is paid once', () =>
    withTestRun(
      {
        agents: ({ bank, mailbox }) => [
          createPayouts({ bankUrl: bank.url, mailboxUrl: mailbox.url }),
        ],
        model: script,
      },
      async (t) => {
        t.bank.setMode('INV-1005', 'commit-then-reset', { times: 1 });
        const run = await t.start('payouts', { file });
        const approval = await t.nextApproval(run.runKey);
        expect(approval).toMatchObject({ tool: 'pay_invoice', rule: 'above-limit' });
        await t.client.approve(approval.id, { approver: 'accounting-lead' });
        const { result, output } = await run.result();
        expect(result?.kind).toBe('completed');
        const paid = ['1001', '1002', '1003', '1004', '1005', '1006', '1009', '1010'];
        const references = t.bank.receipts().map(({ reference }) => reference);
        expect(references.sort()).toEqual(paid.map((number) => `INV-${number}`));
        expect(output).toMatchObject({
          skipped: [{ invoice: 'INV-1007' }, { invoice: 'INV-1008' }],
        });
        expect(t.mailbox.receipts()).toHaveLength(1);
      },
    ));
});
