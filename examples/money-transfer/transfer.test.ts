// The transfer with effects as its user would test it: the worker dies behind the withdrawal, and a deposit is declined.
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { crashAt, type TestRun, withTestRun } from 'pawl/testing';
import type { PaymentDetails } from './transfer.ts';
import * as tools from './with-effect/tools.ts';

const options = {
  tools: Object.values(tools),
  workflowsPath: fileURLToPath(new URL('./with-effect/workflow.ts', import.meta.url)),
};
const details: PaymentDetails = {
  sourceAccount: '85-150',
  targetAccount: '43-812',
  amountMinor: 40_000,
  referenceId: 'transfer-12345',
};

function transfer(t: TestRun): Promise<unknown> {
  process.env['SOURCE_BANK_URL'] = t.bank.url;
  process.env['TARGET_BANK_URL'] = t.bank.url;
  return t.temporal.workflow.execute('moneyTransfer', {
    workflowId: `transfer-${t.taskQueue}`,
    taskQueue: t.taskQueue,
    args: [details],
  });
}

const receiptsOf = (t: TestRun): string[] => t.bank.receipts().map(({ reference }) => reference);

describe('the money transfer with effects', () => {
  it('the worker dies behind the withdrawal → one withdrawal, one deposit', () =>
    withTestRun({ ...options, crash: crashAt('after-send', 'withdraw') }, async (t) => {
      expect(await transfer(t)).toContain('Transfer complete');
      expect(receiptsOf(t)).toEqual(['withdraw-transfer-12345', 'deposit-transfer-12345']);
    }));

  it('the deposit is declined and the worker dies behind the refund → the money goes back once', () =>
    withTestRun({ ...options, crash: crashAt('after-send', 'refund') }, async (t) => {
      t.bank.setMode('deposit-transfer-12345', 'reject-before-commit');
      await expect(transfer(t)).rejects.toMatchObject({ cause: { type: 'DepositFailed' } });
      expect(receiptsOf(t)).toEqual(['withdraw-transfer-12345', 'refund-transfer-12345']);
    }));
});
