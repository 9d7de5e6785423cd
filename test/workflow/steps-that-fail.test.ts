// What ends a step and what doesn't: a mistake that repeats parks the run, a worker that stops hands the step on.
import { once } from 'node:events';
import { describe, expect } from '@jest/globals';
import { defineTool } from 'pawl';
import { scriptedModel, until, withTestRun } from 'pawl/testing';
import { z } from 'zod';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, TASK } from './clerk.ts';

/** A read that hangs until it is broken off, then answers. */
function hangOnce(seen: string[]) {
  return defineTool({
    name: 'hang',
    description: 'Hangs once.',
    input: z.object({}),
    output: z.object({ ok: z.boolean() }),
    effect: 'read',
    timeout: '60s',
    retry: { maximumAttempts: 1 },
    run: async (_input, ctx) => {
      seen.push('run');
      if (seen.length > 1) return { ok: true };
      await once(ctx.signal, 'abort');
      throw new Error('broken off');
    },
  });
}

describe('a worker that stops, with a grace period of a second', () => {
  guarantee(
    'shutdown-is-no-cancel',
    'while the model takes longer → the next worker asks again; while a read takes longer → it is read again; the run completes',
    async () => {
      const seen: string[] = [];
      const model = scriptedModel([{ ...DONE, delayMs: 60_000 }, calls(['hang', {}]), DONE]);
      await withTestRun(
        { agents: (r) => [clerk(r, { tools: [hangOnce(seen)] })], model },
        async (t) => {
          const { runKey, result } = await t.start('clerk', TASK);
          await until(() => t.model.requests().length === 1);
          await t.restartWorker();
          await until(() => seen.length === 1);
          await t.restartWorker();
          expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
          expect(seen).toEqual(['run', 'run']);
          expect(t.model.requests()).toHaveLength(3);
          const { calls: made } = await t.client.show(runKey);
          expect(made).toMatchObject([{ tool: 'hang', ended: 'applied' }]);
        },
      );
    },
  );
});

describe('a mistake in the user’s code', () => {
  guarantee(
    'no-silent-retries',
    'an input schema that throws, on two workers → three tries, stuck with the cause in show, list, doctor; mended and resumed it goes on',
    async () => {
      let tries = 0;
      let isMended = false;
      const input = z.object({ task: z.string() }).superRefine(() => {
        tries += 1;
        if (!isMended) throw new TypeError(`no table at 0x${(tries * 4096).toString(16)}`);
      });
      const agents = (r: Parameters<typeof clerk>[0]) => [{ ...clerk(r), input }];
      await withTestRun({ agents, model: [DONE] }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        await until(() => tries === 1);
        await t.restartWorker();
        await t.untilStatus(runKey, 'stuck');
        expect(tries).toBe(3);
        const { run } = await t.client.show(runKey);
        expect(run.stuckCause).toMatchObject({
          type: 'Step.Failed',
          message: expect.stringMatching(
            /^pawl\.open failed 3 times in a row.*TypeError: no table/,
          ),
        });
        isMended = true;
        await t.client.resume(runKey);
        expect((await result()).result).toMatchObject({ kind: 'completed' });
      });
    },
  );
});
