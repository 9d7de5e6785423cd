// Sub-agents: runs of their own below a run, under the same root, with its requester, its limits and its controls.
import { describe, expect, it } from '@jest/globals';
import { type Receivers, type TestRun, toolResults, until, withTestRun } from 'pawl/testing';
import type { AnyAgent } from '../../testing/test-run-options.ts';
import type { ApprovalView } from '../../client/approval-views.ts';
import { guarantee } from '../guarantee.ts';
import { ask, chief, firstText, ORDER, script } from './chief.ts';
import { CACHES, calls, DONE, sql } from './clerk.ts';

async function childrenOf(t: TestRun, runKey: string): Promise<readonly string[]> {
  const shown = await t.client.show(runKey);
  return shown.calls.flatMap(({ child }) => (child === null ? [] : [child]));
}

/** The one cashier needs an approval for what it is asked to pay. */
const asksAHuman = script((done) =>
  done === 0 ? calls(['cashier', { reference: 'r-1', cents: 20_000 }]) : DONE,
);

/** The first approval that any run of the tree asks for. */
const untilAsked = (t: TestRun): Promise<ApprovalView> =>
  until(async () => (await t.client.approvals())[0], { what: 'an approval' });

describe.each(CACHES)('sub-agents, %s', (_title, maxCachedWorkflows) => {
  guarantee(
    'sub-agents',
    'three at once and one behind them → each a run under the same root, its answer the result of its call, its cost its parent’s too',
    async () => {
      const model = script((done) =>
        done === 0 ? ask('r-1', 'r-2', 'r-3') : done === 3 ? ask('r-4') : DONE,
      );
      await withTestRun({ agents: (r) => [chief(r)], model, maxCachedWorkflows }, async (t) => {
        const { runKey, result } = await t.start('chief', ORDER);
        const ended = await result();
        expect(ended.result).toMatchObject({ kind: 'completed', turns: 3 });
        const references = t.bank.receipts().map(({ reference }) => reference);
        expect(references.sort()).toEqual(['r-1', 'r-2', 'r-3', 'r-4']);
        const last = t.model
          .requests()
          .findLast(({ neutral }) => neutral && firstText(neutral).includes('order'));
        const shown = last?.neutral ? toolResults(last.neutral) : [];
        expect(shown.map(({ text }) => text)).toEqual([
          'paid r-1',
          'paid r-2',
          'paid r-3',
          'paid r-4',
        ]);
        const children = await childrenOf(t, runKey);
        expect(new Set(children).size).toBe(4);
        const own = (await t.client.show(runKey)).run;
        let cost = own.costMicroUsd;
        for (const child of children) {
          const { run } = await t.client.show(child);
          expect(run).toMatchObject({
            status: 'completed',
            parentRunKey: runKey,
            requester: 'tester',
          });
          cost += run.costMicroUsd;
        }
        expect(ended.result?.usage.costMicroUsd).toBe(cost);
        const roots = await sql(t, 'select distinct root_key from pawl.effects');
        expect(roots).toEqual([{ root_key: runKey }]);
      });
    },
  );
});

describe('a sub-agent', () => {
  guarantee(
    'sub-agents',
    'the parent is reset to before it → the finished one is found again: no model request and no send more of it',
    async () => {
      const model = script((done) => (done === 0 ? ask('r-1') : DONE));
      await withTestRun({ agents: (r) => [chief(r)], model }, async (t) => {
        const { runKey, result } = await t.start('chief', ORDER);
        await result();
        const before = { model: t.model.requests().length, bank: t.bank.requests().length };
        const handle = t.temporal.workflow.getHandle(runKey);
        const { runId } = await handle.describe();
        await t.temporal.workflowService.resetWorkflowExecution({
          namespace: 'default',
          workflowExecution: { workflowId: runKey, runId },
          workflowTaskFinishEventId: 4 as never,
          requestId: `reset-${runKey}`,
          reason: 'a test',
        });
        const again = await t.result(runKey);
        expect(again.result?.kind).toBe('completed');
        expect({ model: t.model.requests().length, bank: t.bank.requests().length }).toEqual(
          before,
        );
        expect(t.bank.receipts()).toHaveLength(1);
      });
    },
  );

  guarantee(
    'sub-agents',
    'it asks a human → the same inbox, not approved by the requester; approved while no worker runs → the parent goes on',
    async () => {
      await withTestRun({ agents: (r) => [chief(r)], model: asksAHuman }, async (t) => {
        const { runKey, result } = await t.start('chief', ORDER);
        const approval = await untilAsked(t);
        const id = approval.id;
        await expect(t.client.approve(id, { approver: 'tester' })).rejects.toMatchObject({
          code: 'Approval.SelfApproval',
        });
        await t.stopWorker();
        await t.client.approve(id, { approver: 'ann' });
        await t.startWorker();
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts()).toHaveLength(1);
        expect(await childrenOf(t, runKey)).toEqual([approval.runKey]);
      });
    },
  );

  guarantee(
    'sub-agents',
    'the parent is paused, resumed and cancelled → so is it: nothing is sent while paused, nothing after the cancel',
    async () => {
      await withTestRun({ agents: (r) => [chief(r)], model: asksAHuman }, async (t) => {
        const { runKey, result } = await t.start('chief', ORDER);
        const approval = await untilAsked(t);
        await t.client.pause(runKey);
        const child = approval.runKey;
        await t.untilStatus(child, 'paused');
        await t.client.approve(approval.id, { approver: 'ann' });
        await t.restartWorker();
        expect(t.bank.requests()).toHaveLength(0);
        await t.client.cancel(runKey);
        expect((await result()).result?.kind).toBe('cancelled');
        expect((await t.result(child)).result?.kind).toBe('cancelled');
        expect(t.bank.requests()).toHaveLength(0);
      });
    },
  );

  it('the parent is cancelled in Temporal’s UI → it ends with it', async () => {
    await withTestRun({ agents: (r) => [chief(r)], model: asksAHuman }, async (t) => {
      const { runKey, result } = await t.start('chief', ORDER);
      const approval = await untilAsked(t);
      await t.temporal.workflow.getHandle(runKey).cancel();
      expect((await result()).result?.kind).toBe('cancelled');
      expect((await t.result(approval.runKey)).result?.kind).toBe('cancelled');
    });
  });

  guarantee(
    'sub-agents',
    'more of them than the run may start, deeper than it may go, or dearer than what is left → the model is told, the budget holds',
    async () => {
      const model = script((done) => (done === 0 ? ask('r-1', 'r-2', 'r-3') : DONE));
      const agents = (r: Receivers): AnyAgent[] => [chief(r, { budget: { children: 2 } })];
      await withTestRun({ agents, model }, async (t) => {
        await (await t.start('chief', ORDER)).result();
        expect(t.bank.receipts()).toHaveLength(2);
        const last = t.model.requests().at(-1)?.neutral;
        expect(
          last &&
            toolResults(last)
              .map(({ text }) => text)
              .at(-1),
        ).toContain('too_many_agents');
      });
      const flat = (r: Receivers): AnyAgent[] => [chief(r, { budget: { depth: 0 } })];
      await withTestRun({ agents: flat, model }, async (t) => {
        await (await t.start('chief', ORDER)).result();
        expect(t.bank.receipts()).toHaveLength(0);
        const last = t.model.requests().at(-1)?.neutral;
        expect(last && toolResults(last)[0]?.text).toContain('too_deep');
      });
      const poor = (r: Receivers): AnyAgent[] => [chief(r, { budget: { usd: '0.0001' } })];
      await withTestRun({ agents: poor, model }, async (t) => {
        const { runKey, result } = await t.start('chief', ORDER);
        expect((await result()).result?.kind).toBe('over_budget');
        for (const child of await childrenOf(t, runKey)) {
          expect((await t.client.show(child)).run.status).toBe('over_budget');
        }
      });
    },
  );
});
