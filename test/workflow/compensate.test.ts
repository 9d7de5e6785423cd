// Compensation: what was done is taken back in reverse, each undoing an effect of its own, by the bank's receipts.
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { defineTool } from 'pawl';
import { crashAt, type Receivers, type TestRun, until, withTestRun } from 'pawl/testing';
import type { CompensationReport } from '../../workflows/index.ts';
import { guarantee } from '../guarantee.ts';
import { payment, transfer, undoable } from './undoable-payment.ts';

/** A step at the bank; what takes it back is a transfer of its own, named `…-undo`. */
function stepTool(receivers: Receivers, name: string, isFinal = false) {
  const { run, compensate } = undoable(receivers);
  return defineTool({
    name,
    description: name,
    input: payment,
    output: transfer,
    effect: {
      key: { retention: '24h' },
      identity: ({ reference }) => [reference],
    },
    timeout: '2s',
    run,
    ...(isFinal ? {} : { compensate }),
  });
}

const options = {
  tools: (r: Receivers) => [
    stepTool(r, 'reserve'),
    stepTool(r, 'charge'),
    stepTool(r, 'stamp', true),
    stepTool(r, 'ship'),
  ],
  workflowsPath: join(import.meta.dirname, 'fixtures/saga-workflows.ts'),
};

let orders = 0;

async function placeOrder(t: TestRun, reference: string) {
  orders += 1;
  const runKey = `saga-${orders}`;
  const handle = await t.temporal.workflow.start('orderOrUndo', {
    workflowId: `${t.taskQueue}-${orders}`,
    taskQueue: t.taskQueue,
    args: [{ runKey, reference }],
  });
  return { runKey, handle, result: () => handle.result() as Promise<CompensationReport> };
}

const shown = ({ effects }: CompensationReport): readonly string[] =>
  effects.map(({ tool, kind }) => `${tool} ${kind}`);
const receiptsOf = (t: TestRun): readonly string[] =>
  t.bank.receipts().map(({ reference }) => reference);

describe('compensate() in a workflow', () => {
  guarantee(
    'S2-20',
    'the last step is refused → the others are undone in reverse, once each; what cannot be undone is said',
    async () => {
      await withTestRun(options, async (t) => {
        t.bank.setMode('a-ship', 'reject-before-commit');
        const order = await placeOrder(t, 'a');
        expect(shown(await order.result())).toEqual([
          'stamp kept',
          'charge compensated',
          'reserve compensated',
        ]);
        const done = ['a-reserve', 'a-charge', 'a-stamp'];
        expect(receiptsOf(t)).toEqual([...done, 'a-charge-undo', 'a-reserve-undo']);
        // Three effects, two undoings and the refused one: the undoings have keys of their own.
        expect(new Set(t.bank.requests({ method: 'POST' }).map((r) => r.idempotencyKey)).size).toBe(
          6,
        );
      });
    },
  );

  guarantee(
    'S2-20',
    'a worker that dies in the middle of an undoing, its answer lost → the next one goes on, nothing twice',
    async () => {
      const crash = crashAt('after-send', 'charge.compensate');
      await withTestRun({ ...options, crash }, async (t) => {
        t.bank.setMode('b-ship', 'reject-before-commit');
        t.bank.addMode('b-reserve-undo', 'commit-then-reset', { times: 1 });
        const order = await placeOrder(t, 'b');
        await order.result();
        expect(receiptsOf(t).filter((reference) => reference.endsWith('undo'))).toEqual([
          'b-charge-undo',
          'b-reserve-undo',
        ]);
        const undoings = t.bank.requests({ method: 'POST' }).filter((r) => r.body.includes('undo'));
        expect(undoings).toHaveLength(4);
        expect(new Set(undoings.map((r) => r.idempotencyKey)).size).toBe(2);
      });
    },
  );

  it('undone → its identity is free: the same intention may be meant anew', async () => {
    await withTestRun(options, async (t) => {
      t.bank.addMode('c-ship', 'reject-before-commit', { times: 1 });
      await (await placeOrder(t, 'c')).result();
      const again = await placeOrder(t, 'c');
      expect(shown(await again.result())).toEqual([]);
      // The stamp could not be undone, so it stands: asked for again, it is not done again.
      expect(receiptsOf(t).filter((reference) => reference === 'c-stamp')).toHaveLength(1);
      expect(receiptsOf(t).filter((reference) => reference === 'c-charge')).toHaveLength(2);
    });
  });

  it('an undoing in doubt → waited for, shown to a human, settled, and the rest goes on', async () => {
    await withTestRun(options, async (t) => {
      t.bank.setMode('d-ship', 'reject-before-commit');
      t.bank.setMode('d-charge-undo', '500-after');
      const order = await placeOrder(t, 'd');
      const doubt = await until(async () => (await t.client.doubts())[0]);
      expect(doubt).toMatchObject({ tool: 'charge.compensate', status: 'in_doubt' });
      expect(receiptsOf(t)).not.toContain('d-reserve-undo');
      await t.client.settle(doubt.effect, { outcome: 'applied', evidence: 'bank statement' });
      expect(shown(await order.result())).toContain('reserve compensated');
      const charge = (await t.client.effects()).find(({ tool }) => tool === 'charge');
      expect(charge?.compensatedBy).toBe(doubt.effect);
    });
  });

  it('asked for by a human, twice → undone once', async () => {
    await withTestRun(options, async (t) => {
      const order = await placeOrder(t, 'e');
      await order.result();
      const undo = () =>
        t.temporal.workflow.execute('pawlCompensate', {
          workflowId: `${t.taskQueue}-undo-${(orders += 1)}`,
          taskQueue: t.taskQueue,
          args: [{ v: 1, tenant: 'default', runKey: order.runKey }],
        }) as Promise<CompensationReport>;
      const first = ['ship', 'charge', 'reserve'];
      for (const report of [await undo(), await undo()]) {
        const undone = report.effects.filter(({ kind }) => kind === 'compensated');
        expect(undone.map(({ tool }) => tool)).toEqual(first);
      }
      expect(receiptsOf(t).filter((reference) => reference.endsWith('undo'))).toHaveLength(3);
    });
  });
});
