// Approvals: the row is the authority, the signal only wakes; durable, single use, and never for another effect.
import { describe, expect, it } from '@jest/globals';
import { until, withTestRun } from 'pawl/testing';
import { createGate } from '../contract/support-gates.ts';
import { guarantee } from '../guarantee.ts';
import { CACHES, calls, clerk, DONE, pay, shownResults, sql, TASK, untilLive } from './clerk.ts';

const LARGE = 20_000;

describe.each(CACHES)('an approval, %s', (_title, maxCachedWorkflows) => {
  const options = { agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)], maxCachedWorkflows };

  guarantee(
    'S2-04',
    'approved → the effect is sent once, bound to what was shown; a second decision is refused by name',
    async () => {
      const model = [calls(pay('a', LARGE)), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const run = await t.start('clerk', TASK);
        const approval = await t.nextApproval(run.runKey);
        expect(approval).toMatchObject({
          summary: 'pay a · EUR 200.00 · keyed',
          rule: 'large-payments',
        });
        await t.untilStatus(run.runKey, 'waiting_approval');
        expect(t.bank.requests()).toEqual([]);
        const decided = await t.client.approve(approval.id, { approver: 'ann' });
        expect(decided.wake).toEqual({ kind: 'delivered' });
        await expect(t.client.deny(approval.id, { approver: 'bob' })).rejects.toMatchObject({
          code: 'Approval.AlreadyDecided',
          message: expect.stringContaining('already approved by ann'),
        });
        expect((await run.result()).result?.kind).toBe('completed');
        expect(t.bank.receipts()).toHaveLength(1);
        expect(t.bank.requests()).toHaveLength(1);
        await expect(t.client.approve(approval.id, { approver: 'bob' })).rejects.toMatchObject({
          code: 'Approval.AlreadyDecided',
        });
      });
    },
  );

  guarantee('S2-04', 'denied → never sent, and the model is told by whom and why', async () => {
    const model = [calls(pay('a', LARGE), pay('b')), DONE];
    await withTestRun({ ...options, model }, async (t) => {
      const run = await t.start('clerk', TASK);
      const approval = await t.nextApproval(run.runKey);
      await t.client.deny(approval.id, { approver: 'ann', reason: 'the invoice is wrong' });
      expect((await run.result()).result?.kind).toBe('completed');
      const [denied, paid] = shownResults(t);
      expect(denied).toMatchObject({ isError: true });
      expect(denied?.text).toContain('denied by ann: the invoice is wrong');
      expect(paid?.isError).toBe(false);
      expect(t.bank.requests()).toHaveLength(1);
      expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['b']);
    });
  });

  guarantee(
    'S2-04',
    'nobody decides in time → expired, not sent; deciding too late is refused',
    async () => {
      const gate = createGate();
      const model = [calls(pay('a', LARGE)), () => gate.pass().then(() => DONE)];
      const agents = (r: Parameters<typeof clerk>[0]) => [clerk(r, { approvalExpiry: '1s' })];
      await withTestRun({ ...options, agents, model }, async (t) => {
        const run = await t.start('clerk', TASK);
        // From its row: a list of what is open may be asked too late.
        const { id } = await until(async () => (await sql(t, 'select id from pawl.approvals'))[0]);
        await t.untilStatus(run.runKey, 'running');
        await expect(t.client.approve(String(id), { approver: 'ann' })).rejects.toMatchObject({
          code: 'Approval.Expired',
          message: expect.stringContaining('nothing was sent under it'),
        });
        gate.open();
        expect((await run.result()).result?.kind).toBe('completed');
        expect(shownResults(t)[0]).toMatchObject({ isError: true });
        expect(shownResults(t)[0]?.text).toContain(`nobody decided on ${String(id)} in time`);
        expect(t.bank.requests()).toEqual([]);
      });
    },
  );

  guarantee(
    'S2-04',
    'an unknown id, another binding, the requester itself → refused by name, nothing is decided',
    async () => {
      const model = [calls(pay('a', LARGE))];
      await withTestRun({ ...options, model }, async (t) => {
        const run = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(run.runKey);
        await expect(t.client.approve('ap_unknown1')).rejects.toMatchObject({
          code: 'Approval.Unknown',
        });
        await expect(t.client.approve(id)).rejects.toMatchObject({ code: 'Approval.SelfApproval' });
        await expect(
          t.client.approve(id, { approver: 'ann', binding: 'f'.repeat(64) }),
        ).rejects.toMatchObject({ code: 'Approval.Changed' });
        expect(await sql(t, 'select * from pawl.decisions')).toEqual([]);
        await untilLive(t, run.runKey, 'await-approval');
        expect(t.bank.requests()).toEqual([]);
      });
    },
  );

  guarantee(
    'S2-04',
    'a signal without a decision row → the run looks, asks on, and sends nothing',
    async () => {
      const model = [calls(pay('a', LARGE)), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const run = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(run.runKey);
        const handle = t.temporal.workflow.getHandle(run.runKey);
        for (const approval of [id, 'ap_of_somebody_else']) {
          await handle.signal('pawl.decided', { v: 1, approval, decision: 'de_forged' });
        }
        await t.client.approve(id, { approver: 'ann' });
        await run.result();
        // One look for the forged signal at most, one for the real decision; one send.
        expect(t.bank.requests()).toHaveLength(1);
        const facts = await sql(t, 'select kind from pawl.effect_facts order by ordinal');
        expect(facts.map(({ kind }) => kind)).toEqual(['intended', 'dispatched', 'applied']);
      });
    },
  );

  guarantee(
    'S2-04',
    'a decision row that is not bound to what was asked → asked again, not sent',
    async () => {
      const model = [calls(pay('a', LARGE)), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const run = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(run.runKey);
        await sql(
          t,
          `insert into pawl.decisions (tenant, approval_id, id, decision, approver, binding)
         values ('default', $1, 'de_forged', 'approve', 'mallory', $2)`,
          [id, 'f'.repeat(64)],
        );
        const handle = t.temporal.workflow.getHandle(run.runKey);
        await handle.signal('pawl.decided', { v: 1, approval: id, decision: 'de_forged' });
        const again = await t.nextApproval(run.runKey);
        expect(again.id).not.toBe(id);
        expect(t.bank.requests()).toEqual([]);
        await t.client.approve(again.id, { approver: 'ann' });
        expect((await run.result()).result?.kind).toBe('completed');
        expect(t.bank.receipts()).toHaveLength(1);
      });
    },
  );

  guarantee('S2-04', 'decided before the run waits for it → goes on without waiting', async () => {
    const model = [calls(pay('a'), pay('b', LARGE)), DONE];
    await withTestRun({ ...options, model }, async (t) => {
      t.bank.setMode('a', 'slow', { delayMs: 700 });
      const run = await t.start('clerk', TASK);
      const { id } = await t.nextApproval(run.runKey);
      await t.client.approve(id, { approver: 'ann' });
      expect(t.bank.receipts({ reference: 'b' })).toEqual([]);
      expect((await run.result()).result?.kind).toBe('completed');
      expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['a', 'b']);
    });
  });

  guarantee(
    'S2-04',
    'no worker while it waits, and the decision falls meanwhile → the next worker goes on',
    async () => {
      const model = [calls(pay('a', LARGE)), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const run = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(run.runKey);
        await t.stopWorker();
        const { wake } = await t.client.approve(id, { approver: 'ann' });
        expect(wake).toEqual({ kind: 'delivered' });
        expect(t.bank.requests()).toEqual([]);
        await t.startWorker();
        expect((await run.result()).result?.kind).toBe('completed');
        expect(t.bank.receipts()).toHaveLength(1);
        expect(t.model.requests()).toHaveLength(2);
      });
    },
  );

  it('two approvals in one answer, decided in the other order → each goes by its own decision', async () => {
    const model = [calls(pay('a', LARGE), pay('b', LARGE)), DONE];
    await withTestRun({ ...options, model }, async (t) => {
      const run = await t.start('clerk', TASK);
      await t.nextApproval(run.runKey);
      const [first, second] = await t.client.approvals({ run: run.runKey });
      expect([first?.call, second?.call]).toEqual(['0', '1']);
      await t.client.deny(second?.id ?? '', { approver: 'ann' });
      await t.client.approve(first?.id ?? '', { approver: 'ann' });
      expect((await run.result()).result?.kind).toBe('completed');
      expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['a']);
      expect(shownResults(t).map(({ isError }) => isError)).toEqual([false, true]);
    });
  });
});
