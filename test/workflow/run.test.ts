// A run from start to end: reads, effects in order, and everything that goes back to the model instead.
import { describe, expect, it } from '@jest/globals';
import { defineTool } from 'pawl';
import { scriptedModel, withTestRun } from 'pawl/testing';
import { z } from 'zod';
import { guarantee } from '../guarantee.ts';
import { CACHES, calls, clerk, DONE, pay, shownResults, TASK } from './clerk.ts';

describe.each(CACHES)('a run, %s', (_title, maxCachedWorkflows) => {
  it('reads, then effects of one answer → each once, in call order, and the model sees the results', async () => {
    const model = scriptedModel([
      calls(['look_up', { reference: 'a' }], ['look_up', { reference: 'b' }]),
      calls(pay('a'), pay('b'), ['notify', { subject: 'paid' }]),
      DONE,
    ]);
    await withTestRun({ agents: (r) => [clerk(r)], model, maxCachedWorkflows }, async (t) => {
      const run = await t.start('clerk', TASK);
      const { result, output } = await run.result();
      expect(result).toMatchObject({ kind: 'completed', turns: 3 });
      expect(output).toBe('done');
      expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['a', 'b']);
      expect(t.mailbox.receipts()).toHaveLength(1);
      expect(t.mailbox.receipts()[0]?.atMs).toBeGreaterThanOrEqual(
        t.bank.receipts({ reference: 'b' })[0]?.atMs ?? Infinity,
      );
      expect(shownResults(t).map(({ name, isError }) => [name, isError])).toEqual([
        ['look_up', false],
        ['look_up', false],
        ['pay', false],
        ['pay', false],
        ['notify', false],
      ]);
      model.assertComplete();
    });
  });

  guarantee(
    'S2-09',
    'unknown tools, arguments of the wrong shape, arguments that are no JSON → told to the model, nothing sent',
    async () => {
      const model = [
        calls(
          ['transfer_all', {}],
          ['pay', { reference: 'a', cents: '20' }],
          ['pay', '{"reference": "b", '],
          ['look_up', {}],
        ),
        calls(pay('a')),
        DONE,
      ];
      await withTestRun({ agents: (r) => [clerk(r)], model, maxCachedWorkflows }, async (t) => {
        const run = await t.start('clerk', TASK);
        expect((await run.result()).result?.kind).toBe('completed');
        expect(t.bank.requests().map(({ method }) => method)).toEqual(['POST']);
        const [unknown, shape, json, read] = shownResults(t);
        expect(unknown).toMatchObject({ isError: true });
        expect(unknown?.text).toContain('no tool is named \\"transfer_all\\"');
        expect(unknown?.text).toContain('look_up, pay, pay_again, notify');
        expect(shape?.text).toContain('cents: Invalid input: expected number, received string');
        expect(json?.text).toContain('the arguments are not JSON');
        expect(read?.text).toContain('reference: Invalid input');
      });
    },
  );

  guarantee(
    'S2-03',
    'a call that the policy forbids → not sent, and the model is told by which rule',
    async () => {
      const model = [calls(pay('a', 2_000, { payee: 'Blocked Ltd' }), pay('b')), DONE];
      await withTestRun({ agents: (r) => [clerk(r)], model, maxCachedWorkflows }, async (t) => {
        const run = await t.start('clerk', TASK);
        expect((await run.result()).result?.kind).toBe('completed');
        expect(t.bank.requests()).toHaveLength(1);
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['b']);
        const [forbidden] = shownResults(t);
        expect(forbidden).toMatchObject({ isError: true });
        expect(forbidden?.text).toContain('this payee is blocked');
        const [call] = (await t.client.show(run.runKey)).calls;
        expect(call).toMatchObject({
          verdict: 'forbid',
          rule: 'payee-blocked',
          ended: 'forbidden',
        });
      });
    },
  );

  it('a bank that declines and a read that says no → told to the model, the run goes on', async () => {
    const model = [calls(['look_up', { reference: 'none' }], pay('a'), pay('b')), DONE];
    await withTestRun({ agents: (r) => [clerk(r)], model, maxCachedWorkflows }, async (t) => {
      t.bank.setMode('a', 'reject-before-commit');
      const run = await t.start('clerk', TASK);
      expect((await run.result()).result?.kind).toBe('completed');
      const [read, declined, paid] = shownResults(t);
      expect(read).toMatchObject({ isError: true });
      expect(read?.text).toContain('no_such_reference');
      expect(declined).toMatchObject({ isError: true });
      expect(declined?.text).toContain('card_declined');
      expect(paid?.isError).toBe(false);
      expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['b']);
    });
  });

  it('a tool that throws before it sends, every time → tried as often as it says, then told to the model', async () => {
    let entered = 0;
    const broken = defineTool({
      name: 'notify',
      description: 'Sends one message.',
      input: z.object({ subject: z.string() }),
      output: z.object({}),
      retry: { maximumAttempts: 3 },
      run: () => {
        entered += 1;
        return Promise.reject(new Error('no template for this subject'));
      },
    });
    const model = [calls(['notify', { subject: 'x' }]), DONE];
    const options = { model, maxCachedWorkflows, worker: { random: () => 0 } };
    await withTestRun({ ...options, agents: (r) => [clerk(r, { tools: [broken] })] }, async (t) => {
      const run = await t.start('clerk', TASK);
      expect((await run.result()).result?.kind).toBe('completed');
      expect(entered).toBe(3);
      expect(shownResults(t)[0]).toMatchObject({ isError: true });
      expect(shownResults(t)[0]?.text).toContain('no template for this subject');
      const [effect] = await t.client.effects({ run: run.runKey });
      expect(effect).toMatchObject({ status: 'refused', code: 'tool_failed', sends: 0 });
    });
  });
});
