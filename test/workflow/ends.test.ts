// How runs end other than completed, and runs that never begin: each a value with its reason, never a failed workflow.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { replayHistories, saveHistory, scriptedModel, withTestRun } from 'pawl/testing';
import { z } from 'zod';
import { guarantee } from '../guarantee.ts';
import { CACHES, calls, clerk, DONE, pay, shownResults, startUnchecked, TASK } from './clerk.ts';

/** The time has to be long enough for the question to be asked, so both caches wait for its end side by side. */
async function passDeadline(maxCachedWorkflows: number): Promise<void> {
  const options = { model: [calls(pay('a', 20_000))], maxCachedWorkflows };
  const budget = { deadline: '5s' as const };
  await withTestRun({ ...options, agents: (r) => [clerk(r, { budget })] }, async (t) => {
    const run = await t.start('clerk', TASK);
    expect((await run.result()).result).toMatchObject({
      kind: 'deadline_passed',
      reason: 'the deadline has passed',
    });
    expect(t.bank.requests()).toEqual([]);
    const [effect] = await t.client.effects({ run: run.runKey });
    expect(effect).toMatchObject({ status: 'refused', code: 'skipped' });
  });
}

it('the deadline passes while an approval is awaited, cached or not → deadline_passed, nothing was sent', async () => {
  await Promise.all(CACHES.map(([, maxCachedWorkflows]) => passDeadline(maxCachedWorkflows)));
});

describe.each(CACHES)('the end of a run, %s', (_title, maxCachedWorkflows) => {
  it('an answer that does not match the output schema → asked again with what is wrong', async () => {
    const output = z.object({ resolved: z.boolean() });
    const model = scriptedModel([
      { text: 'It is done.' },
      { text: '{"resolved": "yes"}' },
      { text: '```json\n{"resolved": true}\n```' },
    ]);
    const options = { model, maxCachedWorkflows };
    await withTestRun({ ...options, agents: (r) => [clerk(r, { output })] }, async (t) => {
      const run = await t.start('clerk', TASK);
      const { result, output: answer } = await run.result();
      expect(result).toMatchObject({ kind: 'completed', turns: 3 });
      expect(answer).toEqual({ resolved: true });
      const asked = t.model.requests().map(({ body }) => body);
      expect(asked[1]).toContain('the answer is not JSON');
      expect(asked[2]).toContain('resolved: Invalid input: expected boolean');
      model.assertComplete();
    });
  });

  it('three answers that do not match → invalid_output, with the last problem', async () => {
    const output = z.object({ resolved: z.boolean() });
    const model = [{ text: 'no' }, { text: 'no' }, { text: '{}' }];
    const options = { model, maxCachedWorkflows };
    await withTestRun({ ...options, agents: (r) => [clerk(r, { output })] }, async (t) => {
      const run = await t.start('clerk', TASK);
      const { result } = await run.result();
      expect(result).toMatchObject({ kind: 'invalid_output', turns: 3 });
      expect(result?.reason).toContain('resolved: Invalid input');
    });
  });

  it('limits of turns, money, denials and repeats → the run ends by its limit, with the number', async () => {
    const look = (reference: string) => calls(['look_up', { reference }]);
    const forbidden = (reference: string) => calls(pay(reference, 1, { payee: 'Blocked Ltd' }));
    const cases = {
      'out-of-turns': {
        budget: { turns: 2 },
        model: [look('a'), look('b')],
        end: { kind: 'out_of_turns', reason: '2 turns are used' },
      },
      'over-budget': {
        budget: { usd: '0.01' },
        model: [{ ...look('a'), usage: { inputTokens: 20_000, outputTokens: 10 } }],
        end: { kind: 'over_budget', reason: 'cost 20050 of 10000 micro-USD' },
      },
      blocked: {
        budget: { denials: 2 },
        model: [forbidden('a'), forbidden('b')],
        end: { kind: 'blocked', reason: '2 calls were denied' },
      },
      stalled: {
        budget: { repeats: 3 },
        model: [look('a'), look('a'), look('a')],
        end: { kind: 'stalled', reason: 'the same call came 3 times in a row' },
      },
    };
    for (const { budget, model: replies, end } of Object.values(cases)) {
      const model = scriptedModel(replies);
      const options = { model, maxCachedWorkflows };
      await withTestRun({ ...options, agents: (r) => [clerk(r, { budget })] }, async (t) => {
        const run = await t.start('clerk', TASK);
        expect((await run.result()).result).toMatchObject(end);
        expect(t.bank.receipts()).toEqual([]);
        model.assertComplete();
      });
    }
  });

  it('an agent that no worker has, an input of another shape → the client refuses and nothing is stored', async () => {
    await withTestRun({ agents: (r) => [clerk(r)], maxCachedWorkflows }, async (t) => {
      await expect(t.client.start('cleric', TASK)).rejects.toMatchObject({
        code: 'Agent.Unknown',
        message: 'There is no agent "cleric". Known agents: clerk.',
      });
      await expect(t.client.start('clerk', { job: 1 })).rejects.toMatchObject({
        code: 'Agent.InputInvalid',
        message: expect.stringContaining('task'),
      });
      expect(await t.client.list()).toEqual([]);
    });
  });

  it('an input that this build no longer takes → invalid_input with the field, no model request', async () => {
    await withTestRun({ agents: (r) => [clerk(r)], maxCachedWorkflows }, async (t) => {
      const runKey = await startUnchecked(t, 'clerk', { job: 1 });
      const { result } = await t.result(runKey);
      expect(result?.kind).toBe('invalid_input');
      expect(result?.reason).toContain('the input does not match clerk: task: Invalid input');
      expect(t.model.requests()).toEqual([]);
    });
  });

  guarantee(
    'stuck-visible',
    'an agent that this build does not have → stuck, with the names that it has and what to do',
    async () => {
      await withTestRun({ agents: (r) => [clerk(r)], maxCachedWorkflows }, async (t) => {
        const runKey = await startUnchecked(t, 'cleric', TASK);
        await t.untilStatus(runKey, 'stuck');
        const { run } = await t.client.show(runKey);
        expect(run.stuckCause).toMatchObject({
          type: 'Agent.Unknown',
          message: expect.stringMatching(/No agent is named "cleric".*It offers: clerk\./),
        });
      });
    },
  );

  it('stuck before it could begin, then cancelled → the run ends as cancelled', async () => {
    await withTestRun({ agents: (r) => [clerk(r)], maxCachedWorkflows }, async (t) => {
      const runKey = await startUnchecked(t, 'cleric', TASK);
      await t.untilStatus(runKey, 'stuck');
      await t.client.cancel(runKey);
      expect((await t.result(runKey)).result?.kind).toBe('cancelled');
    });
  });

  guarantee(
    'law-10-reset',
    'a finished run, reset to its beginning → nothing is asked or sent again',
    async () => {
      const model = [calls(['look_up', { reference: 'a' }], pay('a')), calls(pay('b')), DONE];
      await withTestRun({ agents: (r) => [clerk(r)], model, maxCachedWorkflows }, async (t) => {
        const run = await t.start('clerk', TASK);
        const first = await run.result();
        const counts = () => [t.model, t.bank].map((r) => r.requests().length);
        const before = counts();
        expect(before).toEqual([3, 3]);
        const events = (await t.history(run.runKey)).events ?? [];
        const firstTask = events.find((event) => event.workflowTaskCompletedEventAttributes);
        await t.temporal.workflowService.resetWorkflowExecution({
          namespace: 'default',
          workflowExecution: { workflowId: run.runKey },
          reason: 'a test',
          workflowTaskFinishEventId: firstTask?.eventId ?? null,
          requestId: run.runKey,
        });
        expect(await run.result()).toEqual(first);
        expect(counts()).toEqual(before);
      });
    },
  );

  guarantee('F-20b', 'a finished run, replayed → no request to anybody', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pawl-replay-'));
    const model = [calls(['look_up', { reference: 'a' }], pay('a')), DONE];
    try {
      await withTestRun({ agents: (r) => [clerk(r)], model, maxCachedWorkflows }, async (t) => {
        const run = await t.start('clerk', TASK);
        await run.result();
        const counts = () => [t.model, t.bank, t.mailbox].map((r) => r.requests().length);
        const before = counts();
        expect(before).toEqual([2, 2, 0]);
        const file = join(folder, 'finished.bin');
        expect(await saveHistory(t.temporal, run.runKey, file)).toBeGreaterThan(20);
        expect(await replayHistories(folder)).toEqual(['finished.bin']);
        expect(counts()).toEqual(before);
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('every wish to a finished run → a clear error that names the run and its end', async () => {
    const options = { agents: [], model: [DONE], maxCachedWorkflows };
    await withTestRun({ ...options, agents: (r) => [clerk(r)] }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      await result();
      const wishes = {
        pause: () => t.client.pause(runKey),
        resume: () => t.client.resume(runKey),
        cancel: () => t.client.cancel(runKey),
        steer: () => t.client.steer(runKey, 'hurry'),
      };
      for (const [wish, ask] of Object.entries(wishes)) {
        await expect(ask()).rejects.toMatchObject({
          code: 'Run.Finished',
          message: `${runKey} has already ended (completed): there is nothing left to ${wish}. See \`pawl show ${runKey}\`.`,
        });
      }
      expect(shownResults(t)).toEqual([]);
    });
  });
});
