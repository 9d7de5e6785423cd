// Workflows that were ended in Temporal by others: their rows are closed, a resume goes on from the rows, and nothing is done twice.
import { describe, expect } from '@jest/globals';
import { isGrpcServiceError } from '@temporalio/client';
import { until, withTestRun } from 'pawl/testing';
import type { TestRun } from '../../testing/with-test-run.ts';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, pay, sql, TASK } from './clerk.ts';

const LARGE = 20_000;
const SWEEP_MS = 1_000;

const options = {
  agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)],
  worker: { reconcileEveryMs: SWEEP_MS },
};

const terminate = (t: TestRun, runKey: string): Promise<unknown> =>
  t.temporal.workflow.getHandle(runKey).terminate('by an operator');

const references = (t: TestRun): string[] => t.bank.receipts().map(({ reference }) => reference);

async function statusOf(t: TestRun, runKey: string): Promise<string> {
  return (await t.client.show(runKey)).run.status;
}

describe('a run whose workflow was terminated', () => {
  guarantee(
    'ended-is-closed',
    'behind a sent effect, in the middle of an approval → terminated in all lists; resumed: completed, each effect and each model step once',
    async () => {
      const model = [calls(pay('a')), calls(pay('b', LARGE)), calls(pay('c')), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey } = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(runKey);
        const seen = t.client.watch(runKey);
        await terminate(t, runKey);
        await t.untilStatus(runKey, 'terminated');
        const [listed] = await t.client.list();
        expect(listed).toMatchObject({ runKey, status: 'terminated', isFinished: true });
        expect(await t.client.approvals()).toEqual([]);
        const kinds: string[] = [];
        for await (const event of seen) kinds.push(event.kind);
        expect(kinds.at(-1)).toBe('finished');

        expect(await t.client.resume(runKey, { by: 'ops' })).toMatchObject({
          was: 'terminated',
          wake: { kind: 'delivered' },
        });
        expect(await statusOf(t, runKey)).not.toBe('terminated');
        expect((await t.nextApproval(runKey)).id).toBe(id);
        await t.client.approve(id, { approver: 'ann' });
        const { result, output } = await t.result(runKey);
        expect([result?.kind, output]).toEqual(['completed', 'done']);
        expect(references(t)).toEqual(['a', 'b', 'c']);
        expect(t.bank.requests({ method: 'POST' })).toHaveLength(3);
        expect(t.model.requests()).toHaveLength(4);
        expect((await t.client.show(runKey)).run).toMatchObject({ status: 'completed', turn: 4 });
        expect((await t.client.verifyAudit({ run: runKey })).isIntact).toBe(true);
      });
    },
  );

  guarantee(
    'ended-is-closed',
    'approved and applied before, ended twice, resumed twice at once → it does not wait for the old approval; each once',
    async () => {
      const model = [calls(pay('b', LARGE)), { ...DONE, delayMs: 1_500 }, DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey } = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(runKey);
        await t.client.approve(id, { approver: 'ann' });
        await until(() => t.model.requests().length === 2);
        await terminate(t, runKey);
        await t.untilStatus(runKey, 'terminated');
        const resumed = await Promise.all([t.client.resume(runKey), t.client.resume(runKey)]);
        expect(resumed.map(({ was }) => was)).toContain('terminated');
        expect((await t.result(runKey)).result?.kind).toBe('completed');
        expect(references(t)).toEqual(['b']);
        // The answer that was under way when it was ended is asked for again; the stored one is not.
        expect(t.model.requests()).toHaveLength(3);
      });
    },
  );

  guarantee(
    'ended-is-closed',
    'then cancelled → the wake says that nobody is there; the sweep closes it as cancelled, and it can be erased',
    async () => {
      const model = [calls(pay('b', LARGE)), DONE];
      await withTestRun({ ...options, model, worker: {} }, async (t) => {
        const { runKey } = await t.start('clerk', TASK);
        await t.nextApproval(runKey);
        await terminate(t, runKey);
        await expect(t.client.erase({ run: runKey }, { reason: 'r' })).rejects.toThrow(
          'the next sweep of a worker closes the run',
        );
        expect((await t.client.cancel(runKey)).wake).toMatchObject({
          kind: 'not-delivered',
          reason: 'workflow-ended',
        });
        expect(await t.client.resume(runKey)).toMatchObject({ was: 'cancelled' });
        await t.temporal.schedule.getHandle(`pawl-reconciler-${t.taskQueue}`).trigger();
        await until(async () => {
          await t.temporal.schedule.getHandle(`pawl-reconciler-${t.taskQueue}`).trigger();
          return (await statusOf(t, runKey)) === 'cancelled';
        });
        const [effect] = await t.client.effects({ run: runKey });
        expect(effect).toMatchObject({ status: 'refused', code: 'cancelled', sends: 0 });
        const erased = await t.client.erase({ run: runKey }, { reason: 'request 1' });
        expect(erased.runs).toMatchObject([{ runKey, histories: 1 }]);
        await expect(t.client.resume(runKey)).rejects.toMatchObject({ code: 'Run.Finished' });
        expect(t.bank.requests()).toEqual([]);
      });
    },
  );
});

/** Temporal's own pause. False where the server has none, or has it switched off. */
async function pauseInTemporal(t: TestRun, workflowId: string): Promise<boolean> {
  const { workflowService } = t.temporal;
  try {
    await workflowService.pauseWorkflowExecution({
      namespace: 'default',
      workflowId,
      reason: 'by an operator',
      requestId: workflowId,
    });
    return true;
  } catch (error) {
    if (isGrpcServiceError(error)) return false;
    throw error;
  }
}

describe('a run that somebody has paused in Temporal', () => {
  guarantee(
    'open-is-not-ended',
    'it is no end: no sweep closes it, neither erase nor gc touches it, and nothing of it is lost',
    async () => {
      const model = [calls(pay('b', LARGE)), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey } = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(runKey);
        const isPaused = await pauseInTemporal(t, runKey);
        process.stderr.write(
          `paused in Temporal: ${isPaused ? 'yes' : 'this server has no pause'}\n`,
        );
        const swept = async (): Promise<number> => {
          const [row] = await sql(t, `select extract(epoch from ended_at) as at from pawl.sweeps`);
          return Number(row?.['at'] ?? 0);
        };
        const before = await swept();
        await until(async () => (await swept()) > before + 1);
        expect(await statusOf(t, runKey)).toBe('waiting_approval');
        await expect(t.client.erase({ run: runKey }, { reason: 'r' })).rejects.toMatchObject({
          code: 'Run.NotErasable',
        });
        // As if it had ended long ago: only Temporal knows better.
        await sql(
          t,
          `update pawl.runs set finished_at = now() - interval '1 year', result = '{"kind":"terminated"}'
           where run_key = $1`,
          [runKey],
        );
        await expect(t.client.erase({ run: runKey }, { reason: 'r' })).rejects.toThrow(
          'its workflow is open in Temporal',
        );
        expect(await t.client.collectGarbage({ olderThanMs: 0 })).toMatchObject({ runs: 0 });
        // The sweep sees that it goes on after all.
        await t.untilStatus(runKey, 'waiting_approval');
        if (isPaused) {
          await t.temporal.workflowService.unpauseWorkflowExecution({
            namespace: 'default',
            workflowId: runKey,
            requestId: `${runKey}-2`,
          });
        }
        await t.client.approve(id, { approver: 'ann' });
        expect((await t.result(runKey)).result?.kind).toBe('completed');
        expect(references(t)).toEqual(['b']);
      });
    },
  );
});
