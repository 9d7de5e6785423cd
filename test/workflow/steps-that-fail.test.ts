// What ends a step and what doesn't: a mistake that repeats parks the run, a worker that stops hands the step on.
import { once } from 'node:events';
import { describe, expect } from '@jest/globals';
import { defineTool } from 'pawl';
import { scriptedModel, until, withTestRun } from 'pawl/testing';
import { z } from 'zod';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, sql, TASK } from './clerk.ts';

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

describe('a mistake that is not the ledger’s', () => {
  guarantee(
    'no-silent-retries',
    'a row that PostgreSQL refuses, on two workers → three tries, stuck with the cause; mended and resumed it goes on',
    async () => {
      await withTestRun({ agents: (r) => [clerk(r)], model: [DONE] }, async (t) => {
        // A sequence counts what is rolled back, too.
        await sql(
          t,
          `create sequence pawl.tries;
           create function pawl.refuse_all() returns trigger language plpgsql as $$
           begin raise exception 'bad row %', nextval('pawl.tries') using errcode = '22P05'; end $$;
           create trigger refuse_all before insert on pawl.transcript
             for each row execute function pawl.refuse_all();
           grant usage on sequence pawl.tries to public`,
        );
        const tries = async (): Promise<unknown> =>
          (await sql(t, 'select last_value::int as n, is_called from pawl.tries'))[0];
        const { runKey, result } = await t.start('clerk', TASK);
        await until(async () => ((await tries()) as { is_called: boolean }).is_called);
        await t.restartWorker();
        await t.untilStatus(runKey, 'stuck');
        expect(await tries()).toMatchObject({ n: 3 });
        expect((await t.client.show(runKey)).run.stuckCause).toMatchObject({
          type: 'Step.Failed',
          message: expect.stringMatching(/^pawl\.open failed 3 times in a row.*bad row 3/),
        });
        await sql(t, 'drop trigger refuse_all on pawl.transcript');
        await t.client.resume(runKey);
        expect((await result()).result).toMatchObject({ kind: 'completed' });
      });
    },
  );
});
