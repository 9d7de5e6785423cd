// Pause, resume, cancel and steer, each while something is under way: what the bank's log and the provider's saw.
import { describe, expect, it } from '@jest/globals';
import { type CrashHook, lastUserText, until, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import {
  CACHES,
  calls,
  clerk,
  DONE,
  pay,
  pauseByRowOnly,
  shownResults,
  TASK,
  untilLive,
} from './clerk.ts';

const LARGE = 20_000;

describe.each(CACHES)('control of a run, %s', (_title, maxCachedWorkflows) => {
  const options = { agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)], maxCachedWorkflows };

  guarantee(
    'S2-11a',
    'paused while the model answers → its calls are not sent until resume',
    async () => {
      const model = [{ ...calls(pay('a'), pay('b')), delayMs: 700 }, DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        await until(() => t.model.requests().length === 1);
        expect((await t.client.pause(runKey)).status).toBe('paused');
        await untilLive(t, runKey, 'await-resume');
        expect((await t.client.show(runKey)).run).toMatchObject({ status: 'paused', turn: 1 });
        expect(t.bank.requests()).toEqual([]);
        expect(await t.client.resume(runKey)).toMatchObject({ was: 'paused' });
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['a', 'b']);
        expect(t.model.requests()).toHaveLength(2);
      });
    },
  );

  guarantee(
    'S2-11b',
    'paused while an effect is on the wire → it is recorded before "paused" is said, the next is not sent until resume',
    async () => {
      const model = [calls(pay('a'), pay('b')), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        t.bank.setMode('a', 'slow', { delayMs: 700 });
        const { runKey, result } = await t.start('clerk', TASK);
        await until(() => t.bank.requests().length === 1);
        expect(await t.client.pause(runKey)).toMatchObject({ status: 'paused', onWire: [] });
        const statuses = (await t.client.effects({ run: runKey })).map(({ status }) => status);
        expect([...statuses].sort()).toEqual(['applied', 'intended']);
        await untilLive(t, runKey, 'await-resume');
        expect(t.bank.requests()).toHaveLength(1);
        await t.client.resume(runKey);
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.requests()).toHaveLength(2);
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['a', 'b']);
      });
    },
  );

  guarantee(
    'S2-11b',
    'a pause that only the row knows, its signal lost → the next effect is not sent until resume',
    async () => {
      const model = [calls(pay('a'), pay('b')), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        t.bank.setMode('a', 'slow', { delayMs: 500 });
        const { runKey, result } = await t.start('clerk', TASK);
        await until(() => t.bank.requests().length === 1);
        await pauseByRowOnly(t, runKey);
        await untilLive(t, runKey, 'await-resume');
        expect(t.bank.requests()).toHaveLength(1);
        await t.client.resume(runKey);
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts()).toHaveLength(2);
      });
    },
  );

  guarantee(
    'S2-11d',
    'paused while an approval is awaited, and approved then → not sent until resume',
    async () => {
      const model = [calls(pay('a', LARGE)), DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        const { id } = await t.nextApproval(runKey);
        await t.client.pause(runKey);
        await t.client.approve(id, { approver: 'ann' });
        await untilLive(t, runKey, 'await-resume');
        await t.restartWorker();
        await untilLive(t, runKey, 'await-resume');
        expect(t.bank.requests()).toEqual([]);
        await t.client.resume(runKey);
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts()).toHaveLength(1);
      });
    },
  );

  guarantee(
    'S2-11b',
    'resumed while an activity is about to report the pause → the older news does not pause the run again',
    async () => {
      let returns = 0;
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      // The second effect has read the pause from its row and is held on its way back.
      const crash: CrashHook = (point) =>
        point === 'before-return' && (returns += 1) === 2 ? held : undefined;
      const model = [calls(pay('a'), pay('b')), DONE];
      await withTestRun({ ...options, model, crash }, async (t) => {
        t.bank.setMode('a', 'slow', { delayMs: 300 });
        const { runKey, result } = await t.start('clerk', TASK);
        await until(() => t.bank.requests().length === 1);
        await pauseByRowOnly(t, runKey);
        await until(() => returns === 2);
        await t.client.resume(runKey);
        await untilLive(t, runKey, 'run-calls');
        release();
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['a', 'b']);
      });
    },
  );

  it('paused and resumed before the run has noticed → it goes on as if nothing was', async () => {
    const model = [{ ...calls(pay('a')), delayMs: 500 }, DONE];
    await withTestRun({ ...options, model }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      await until(() => t.model.requests().length === 1);
      await t.client.pause(runKey);
      await t.client.resume(runKey);
      expect((await result()).result?.kind).toBe('completed');
      expect(t.bank.receipts()).toHaveLength(1);
    });
  });

  it('cancelled while the model answers → the paid call is ended, and the run is cancelled', async () => {
    const model = [{ ...DONE, delayMs: 30_000 }];
    await withTestRun({ ...options, model }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      await until(() => t.model.requests().length === 1);
      await t.client.cancel(runKey);
      expect((await result()).result).toMatchObject({ kind: 'cancelled', turns: 0 });
      const request = await until(() => t.model.requests().find((r) => r.abortedAtMs));
      expect(request.answeredAtMs).toBeUndefined();
      expect(t.model.requests()).toHaveLength(1);
    });
  });

  guarantee(
    'law-09-cancel',
    'cancelled while an effect is on the wire → that one is settled, the next never sent',
    async () => {
      const model = [calls(pay('a'), pay('b'))];
      await withTestRun({ ...options, model }, async (t) => {
        t.bank.setMode('a', 'slow', { delayMs: 700 });
        const { runKey, result } = await t.start('clerk', TASK);
        await until(() => t.bank.requests().length === 1);
        await t.client.cancel(runKey);
        expect((await result()).result?.kind).toBe('cancelled');
        const effects = await t.client.effects({ run: runKey });
        const statuses = Object.fromEntries(effects.map((e) => [e.call, [e.status, e.code]]));
        expect(statuses).toEqual({ 0: ['applied', null], 1: ['refused', 'cancelled'] });
        expect(t.bank.requests()).toHaveLength(1);
      });
    },
  );

  guarantee(
    'law-09-cancel',
    'cancelled while an approval is awaited, or paused → ends at once, and an approval afterwards is refused',
    async () => {
      for (const isPaused of [false, true]) {
        const model = [calls(pay('a', LARGE))];
        await withTestRun({ ...options, model }, async (t) => {
          const { runKey, result } = await t.start('clerk', TASK);
          const { id } = await t.nextApproval(runKey);
          if (isPaused) await t.client.pause(runKey);
          await t.client.cancel(runKey);
          expect((await result()).result?.kind).toBe('cancelled');
          await expect(t.client.approve(id, { approver: 'ann' })).rejects.toMatchObject({
            code: 'Run.Finished',
          });
          expect(t.bank.requests()).toEqual([]);
        });
      }
    },
  );

  it('steered while the model answers → the words stand before the model at its next turn, behind the results', async () => {
    const model = [
      { ...calls(['look_up', { reference: 'a' }]), delayMs: 500 },
      calls(pay('a')),
      DONE,
    ];
    await withTestRun({ ...options, model }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      await until(() => t.model.requests().length === 1);
      await t.client.steer(runKey, 'only up to 20 euros', { by: 'ann' });
      expect((await result()).result?.kind).toBe('completed');
      const [first, second, third] = t.model.requests().map(({ neutral }) => neutral);
      if (!first || !second || !third) throw new Error('three requests were expected');
      expect(lastUserText(first)).not.toContain('20 euros');
      expect(lastUserText(second)).toContain('only up to 20 euros');
      expect(shownResults(t)).toHaveLength(2);
      // Once said, it stays where it was said: the provider's cache is the user's bill.
      expect(JSON.stringify(third.messages)).toContain('only up to 20 euros');
      const { messages } = await t.client.show(runKey);
      expect(messages).toMatchObject([{ author: 'ann', consumedTurn: 2 }]);
    });
  });
});
