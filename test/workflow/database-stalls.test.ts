// A database that stands still for longer than a heartbeat time-out: the attempt waits with it, and is not taken for dead.
import { describe, expect } from '@jest/globals';
import { until, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { holdLock } from '../held-lock.ts';
import { calls, clerk, DONE, pay, TASK } from './clerk.ts';

/** Longer than the heartbeat time-out of Pawl's activities (4 s), shorter than a query's own (10 s). */
const STALL_MS = 5_000;

/** Holds the table until somebody has waited for it so long. */
async function letGo({ waitedMs, release }: Awaited<ReturnType<typeof holdLock>>): Promise<void> {
  await until(async () => (await waitedMs()) >= STALL_MS, { timeoutMs: 60_000 }).finally(release);
}
describe('a table is locked for longer than the heartbeat time-out', () => {
  const options = { agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)] };

  guarantee(
    'F-03',
    'where the turns are → every model call is asked for and paid once',
    async () => {
      await withTestRun({ ...options, model: [calls(pay('a')), DONE] }, async (t) => {
        const lock = 'lock table pawl.model_steps in access exclusive mode';
        const held = await holdLock(t.databaseUrl, lock);
        const { result } = await t.start('clerk', TASK);
        await letGo(held);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        expect(t.model.requests()).toHaveLength(2);
      });
    },
  );
});
