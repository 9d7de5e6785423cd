// Continue-as-new: a run outlives its history, and nothing that arrives around the seam is lost or done twice.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ModelScript, type TestRun, toolResults, until, withTestRun } from 'pawl/testing';
import type { TemporalServer } from '../../devstack/servers/temporal-server.ts';
import { guarantee } from '../guarantee.ts';
import { startRenewingTemporal } from '../renewing-temporal.ts';
import { startRun } from '../../domain/rules/start-run.ts';
import { ask, chief, ORDER, script } from './chief.ts';
import { CACHES, calls, clerk, DONE, insertRun, pay, TASK } from './clerk.ts';

const LARGE = 20_000;
/** A turn of one model call and one effect is 12 events: almost every turn ends an execution. */
const SUGGEST_AT_EVENTS = 14;

let server: TemporalServer;

beforeAll(async () => {
  server = await startRenewingTemporal(SUGGEST_AT_EVENTS);
});
afterAll(() => server.stop());

/** Pays `count` invoices, one a turn. */
function payOneATurn(count: number, cents: number): ModelScript {
  return (request) => {
    const done = toolResults(request).length;
    return done < count ? calls(pay(`r-${done}`, cents)) : DONE;
  };
}

const references = (count: number): string[] => Array.from({ length: count }, (_, i) => `r-${i}`);

/** Temporal lists executions a little later than they begin. */
async function untilExecutions(t: TestRun, workflowId: string, least: number): Promise<void> {
  const query = `WorkflowId = '${workflowId}'`;
  await until(async () => (await t.temporal.workflow.count(query)).count >= least, {
    what: `${least} executions of ${workflowId}`,
  });
}

describe.each(CACHES)('continue-as-new, %s', (_title, maxCachedWorkflows) => {
  const options = () => ({
    agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)],
    maxCachedWorkflows,
    temporalAddress: server.address,
  });

  it('eight turns over several executions → one run: its turns, its transcript, each effect once', async () => {
    await withTestRun({ ...options(), model: payOneATurn(8, 2_000) }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      expect((await result()).result).toMatchObject({ kind: 'completed', turns: 9 });
      await untilExecutions(t, runKey, 4);
      expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(references(8));
      expect(t.bank.requests()).toHaveLength(8);
      expect(t.model.requests()).toHaveLength(9);
      const { transcript } = await t.client.show(runKey, { transcript: true });
      expect(transcript).toHaveLength(1 + 8 * 2 + 1);
      const last = await t.temporal.workflow.getHandle(runKey).describe();
      expect(last.searchAttributes).toMatchObject({ PawlAgent: ['clerk'] });
    });
  });

  guarantee(
    'S2-04',
    'approvals that are given the moment they are asked for, around each seam → none is lost, each effect once',
    async () => {
      await withTestRun({ ...options(), model: payOneATurn(6, LARGE) }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        for (let turn = 0; turn < 6; turn += 1) {
          const { id } = await t.nextApproval(runKey);
          await t.client.approve(id, { approver: 'ann' });
        }
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 7 });
        await untilExecutions(t, runKey, 3);
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(references(6));
        expect(t.bank.requests()).toHaveLength(6);
      });
    },
  );

  it('resumed between two executions, before the second has begun → it does not wait for another resume', async () => {
    await withTestRun({ ...options(), model: payOneATurn(1, 2_000) }, async (t) => {
      const start = await insertRun(t, 'clerk', TASK);
      const state = startRun(start, Date.now());
      const carried = { ...state, control: { paused: true, cancelled: false } };
      await t.temporal.workflow.signalWithStart('agentRun', {
        workflowId: start.runKey,
        taskQueue: t.taskQueue,
        args: [{ ...start, carried }],
        signal: 'pawl.resumed',
        signalArgs: [{ v: 1, by: 'ann' }],
      });
      expect((await t.result(start.runKey)).result?.kind).toBe('completed');
    });
  });

  guarantee(
    'sub-agents',
    'sub-agents that end while their parent begins a new execution → each is heard once, its effect once',
    async () => {
      const model = script((done) => (done < 4 ? ask(`r-${done}`) : DONE));
      const agents = (r: Parameters<typeof clerk>[0]) => [chief(r)];
      await withTestRun({ ...options(), agents, model }, async (t) => {
        const { runKey, result } = await t.start('chief', ORDER);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 5 });
        await untilExecutions(t, runKey, 4);
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(references(4));
        expect(t.bank.requests()).toHaveLength(4);
        expect(t.model.requests()).toHaveLength(5 + 4 * 2);
      });
    },
  );

  guarantee(
    'S2-11d',
    'paused and resumed around the seams → nothing goes out in between',
    async () => {
      await withTestRun({ ...options(), model: payOneATurn(6, 2_000) }, async (t) => {
        t.bank.setMode('*', 'slow', { delayMs: 150 });
        const { runKey, result } = await t.start('clerk', TASK);
        for (const sent of [1, 2, 4]) {
          await until(() => t.bank.requests().length >= sent);
          expect((await t.client.pause(runKey)).status).toBe('paused');
          const before = t.bank.requests().length;
          await t.restartWorker();
          expect(t.bank.requests()).toHaveLength(before);
          await t.client.resume(runKey);
        }
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(references(6));
        expect(t.bank.requests()).toHaveLength(6);
      });
    },
  );
});
