// A database that stands still for longer than a heartbeat time-out: the attempt waits with it, and is not taken for dead.
import { describe, expect } from '@jest/globals';
import { until, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { whileLocked } from '../held-lock.ts';
import { calls, clerk, DONE, pay, TASK } from './clerk.ts';

/** Longer than the heartbeat time-out of Pawl's activities (4 s), shorter than a query's own (10 s). */
const STALL_MS = 5_000;

describe('a table is locked for longer than the heartbeat time-out', () => {
  guarantee.each('noticed', [
    ['from the first look', 'access exclusive'],
    ['when the model has answered, as by `create index`', 'share'],
  ])(
    '%s → the attempt is not taken for dead: every model call is asked for and paid once',
    async (_when, mode) => {
      const options = { agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)] };
      await withTestRun({ ...options, model: [calls(pay('a')), DONE] }, async (t) => {
        const statement = `lock table pawl.model_steps in ${mode} mode`;
        const { result } = await whileLocked(t.databaseUrl, { statement }, async (waitedMs) => {
          const run = await t.start('clerk', TASK);
          await until(async () => (await waitedMs()) >= STALL_MS, { timeoutMs: 60_000 });
          return run;
        });
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        expect(t.model.requests()).toHaveLength(2);
      });
    },
  );
});
