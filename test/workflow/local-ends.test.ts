// How a run begins and ends: inside of workflow tasks, and as activities where the ledger makes them wait.
import { expect, it } from '@jest/globals';
import pg from 'pg';
import { type Receivers, until, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { attemptsOf } from './attempts.ts';
import { CACHES, calls, clerk, DONE, pay, TASK } from './clerk.ts';

const agents = (r: Receivers) => [clerk(r)];
const model = [calls(pay('r-1')), DONE];

it.each(CACHES)('a run, %s → two activities a turn, and none at its ends', (_title, cached) =>
  withTestRun({ agents, model, maxCachedWorkflows: cached }, async (t) => {
    const { runKey, result } = await t.start('clerk', TASK);
    expect(await result()).toMatchObject({ result: { kind: 'completed' } });
    const attempts = await attemptsOf(t, runKey);
    expect(attempts.map(({ type, isLocal }) => `${type}${isLocal ? ' local' : ''}`)).toEqual([
      'pawl.open local',
      'pawl.model',
      'tool.pay',
      'pawl.model',
      'pawl.close local',
    ]);
  }),
);

guarantee(
  'history-linear',
  'the ledger lets it wait for longer than a workflow task may → an activity goes on, one receipt',
  () =>
    withTestRun({ agents, model }, async (t) => {
      const holder = new pg.Client({ connectionString: t.databaseUrl });
      await holder.connect();
      try {
        await holder.query('begin; lock table pawl.agent_versions in exclusive mode');
        const { runKey, result } = await t.start('clerk', TASK);
        await until(async () => (await attemptsOf(t, runKey)).some(({ isLocal }) => !isLocal));
        await holder.query('rollback');
        expect(await result()).toMatchObject({ result: { kind: 'completed' } });
        const opened = (await attemptsOf(t, runKey)).filter(({ type }) => type === 'pawl.open');
        expect(opened.map(({ isLocal }) => isLocal)).toEqual([true, false]);
        expect(t.bank.receipts()).toHaveLength(1);
      } finally {
        await holder.end();
      }
    }),
);
