// The same intention happens once: in a later turn, in another run, in twenty runs at the same time.
import { describe, expect, it } from '@jest/globals';
import { type ModelScript, toolResults, until, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { CACHES, calls, clerk, DONE, pay, shownResults, TASK } from './clerk.ts';

describe.each(CACHES)('one intention, %s', (_title, maxCachedWorkflows) => {
  const options = { agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)], maxCachedWorkflows };

  guarantee(
    'identity-once',
    'asked for again in turns 3 and 5 → one receipt, and the model is told that it was done',
    async () => {
      const look = (reference: string) => calls(['look_up', { reference }]);
      const model = [
        calls(pay('r-1')),
        look('x'),
        calls(pay('r-1')),
        look('y'),
        calls(['pay', { cents: 2_000, reference: 'r-1', payee: 'Acme' }]),
        DONE,
      ];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 6 });
        expect(t.bank.receipts()).toHaveLength(1);
        expect(t.bank.requests({ method: 'POST' })).toHaveLength(1);
        const [first, , third, , fifth] = shownResults(t);
        const transfer = JSON.parse(first?.text ?? '') as unknown;
        expect(JSON.parse(third?.text ?? '')).toMatchObject({
          alreadyApplied: true,
          output: transfer,
        });
        expect(JSON.parse(fifth?.text ?? '')).toMatchObject({
          alreadyApplied: true,
          output: transfer,
        });
        const effects = await t.client.effects({ run: runKey });
        expect(effects.map(({ status }) => status)).toEqual(['applied', 'applied', 'applied']);
        expect(effects.map(({ sends }) => sends).sort()).toEqual([0, 0, 1]);
      });
    },
  );

  guarantee(
    'identity-once',
    'asked for by 20 runs at the same time → one receipt, all twenty get its transfer',
    async () => {
      const transfers: unknown[] = [];
      const model: ModelScript = (request) => {
        const [paid] = toolResults(request);
        if (!paid) return calls(pay('r-1'));
        const body = JSON.parse(paid.text) as {
          transferId?: string;
          output?: { transferId: string };
        };
        transfers.push(body.transferId ?? body.output?.transferId);
        return DONE;
      };
      await withTestRun({ ...options, model }, async (t) => {
        const runs = await Promise.all(Array.from({ length: 20 }, () => t.start('clerk', TASK)));
        const ends = await Promise.all(runs.map(({ result }) => result()));
        expect(ends.map(({ result }) => result?.kind)).toEqual(Array(20).fill('completed'));
        expect(t.bank.receipts()).toHaveLength(1);
        expect(t.bank.requests({ method: 'POST' })).toHaveLength(1);
        // On a slow machine a model may be asked twice for a turn: each is told the same.
        expect(transfers.length).toBeGreaterThanOrEqual(20);
        expect(new Set(transfers)).toEqual(new Set([t.bank.receipts()[0]?.receiptId]));
      });
    },
    60_000,
  );

  guarantee(
    'law-02-identity',
    'the first one is refused → its identity is free, and another run may do it',
    async () => {
      const model = [calls(pay('r-1')), calls(pay('r-1')), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        t.bank.setMode('r-1', 'reject-before-commit', { times: 1 });
        const { result } = await t.start('clerk', TASK);
        expect((await result()).result?.kind).toBe('completed');
        expect(shownResults(t).map(({ isError }) => isError)).toEqual([true, false]);
        expect(t.bank.receipts()).toHaveLength(1);
      });
    },
  );

  guarantee(
    'law-02-identity',
    'other arguments under the same identity → a human is asked before it goes',
    async () => {
      const model = [calls(pay('r-1', 2_000)), calls(pay('r-1', 2_500)), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        const approval = await t.nextApproval(runKey);
        expect(approval.rule).toMatch(/^identity:ef_/);
        expect(approval.requirement).toBe('same-intention');
        await until(() => t.bank.receipts().length === 1);
        await t.client.approve(approval.id, { approver: 'ann' });
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts().map(({ amountMinor }) => amountMinor)).toEqual([2_000, 2_500]);
      });
    },
  );

  it('no identity declared → each call is a payment of its own', async () => {
    const again: [string, unknown] = ['pay_again', { reference: 'r-1', cents: 2_000 }];
    const model = [calls(again), calls(again), DONE];
    await withTestRun({ ...options, model }, async (t) => {
      const { result } = await t.start('clerk', TASK);
      expect((await result()).result?.kind).toBe('completed');
      expect(t.bank.receipts()).toHaveLength(2);
    });
  });
});
