// A model provider that fails: what is hopeless fails at once and visibly, everything else is waited out.
import { describe, expect, it } from '@jest/globals';
import { cut, failWith, reset, scriptedModel, withTestRun } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { CACHES, calls, clerk, DONE, pay, sql, TASK } from './clerk.ts';

describe.each(CACHES)('an outage, %s', (_title, maxCachedWorkflows) => {
  // No jitter: what is measured is the provider's own wish.
  const options = {
    agents: (r: Parameters<typeof clerk>[0]) => [clerk(r)],
    maxCachedWorkflows,
    worker: { random: () => 0 },
  };

  guarantee(
    'stuck-visible',
    'a wrong API key → one wire request, stuck with the hint; resume after it is mended goes on',
    async () => {
      const model = scriptedModel([
        calls(pay('a')),
        failWith(401, { message: 'invalid x-api-key' }),
        DONE,
      ]);
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        await t.untilStatus(runKey, 'stuck');
        const { run } = await t.client.show(runKey);
        expect(run.stuckCause).toMatchObject({
          type: 'Model.Authentication',
          message: expect.stringContaining('check ANTHROPIC_API_KEY: anthropic does not accept it'),
        });
        expect(t.model.requests()).toHaveLength(2);
        expect(await t.client.resume(runKey)).toMatchObject({ was: 'stuck' });
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        expect((await t.client.show(runKey)).run.stuckCause).toBeNull();
        expect(t.bank.receipts()).toHaveLength(1);
        model.assertComplete();
      });
    },
  );

  it('stuck, then cancelled → the run ends as cancelled', async () => {
    await withTestRun({ ...options, model: [failWith(401)] }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      await t.untilStatus(runKey, 'stuck');
      await t.client.cancel(runKey);
      expect((await result()).result?.kind).toBe('cancelled');
    });
  });

  it('429 and 529 that say when to come back → waited for, one request each, nothing else asked again', async () => {
    const model = scriptedModel([
      calls(['look_up', { reference: 'a' }]),
      failWith(429, { retryAfterMs: 400 }),
      failWith(529, { retryAfterMs: 400 }),
      DONE,
    ]);
    await withTestRun({ ...options, model }, async (t) => {
      const { result } = await t.start('clerk', TASK);
      expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
      const sent = t.model.requests();
      expect(sent).toHaveLength(4);
      expect(sent.map(({ status }) => status)).toEqual([200, 429, 529, 200]);
      const gaps = sent.slice(1).map(({ atMs }, index) => atMs - (sent[index]?.atMs ?? 0));
      expect(gaps[1]).toBeGreaterThanOrEqual(400);
      expect(gaps[2]).toBeGreaterThanOrEqual(400);
      expect(new Set(sent.slice(1).map(({ bodySha256 }) => bodySha256)).size).toBe(1);
      model.assertComplete();
    });
  });

  it('a reset, an answer cut in its middle, a 500 → each is one more request, and the turn is stored once', async () => {
    const model = scriptedModel([
      reset(),
      cut(calls(pay('a'))),
      failWith(500),
      calls(pay('a')),
      DONE,
    ]);
    await withTestRun({ ...options, model }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
      expect(t.model.requests()).toHaveLength(5);
      expect((await t.client.show(runKey)).turns.map(({ attempt }) => attempt)).toEqual([4, 1]);
      expect(t.bank.receipts()).toHaveLength(1);
      model.assertComplete();
    });
  });

  guarantee(
    'S1-07',
    '50 failures in a row, then an answer → the same run and the same transcript, 52 requests in all',
    async () => {
      const failures = Array.from({ length: 50 }, () => failWith(529));
      const model = scriptedModel([calls(pay('a')), ...failures, DONE]);
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        const sent = t.model.requests();
        expect(sent).toHaveLength(52);
        expect(new Set(sent.slice(1).map(({ bodySha256 }) => bodySha256)).size).toBe(1);
        const { transcript } = await t.client.show(runKey, { transcript: true });
        expect(transcript?.map(({ role }) => role)).toEqual([
          'user',
          'assistant',
          'tool',
          'assistant',
        ]);
        expect(t.bank.receipts()).toHaveLength(1);
        // Failed attempts of one activity leave nothing in history.
        expect((await t.history(runKey)).events?.length).toBeLessThan(40);
        model.assertComplete();
      });
    },
    60_000,
  );

  guarantee(
    'stuck-visible',
    'workflow code that throws → stuck with its cause; mended and resumed, it goes on where it stood',
    async () => {
      const model = [{ ...calls(pay('a')), delayMs: 500 }, DONE];
      await withTestRun({ ...options, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        // A stored answer that no build would have stored: the rules' own invariant notices it.
        const impossible = {
          kind: 'answered',
          calls: [{ tool: 'ghost', verdict: 'permit', rule: 'x', summary: 'ghost' }],
          fingerprint: 'x',
          usage: { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, costMicroUsd: 0 },
          seq: 0,
        };
        await sql(
          t,
          `insert into pawl.model_steps (tenant, run_key, turn, generation, result, model_requested, model_served,
             stop_reason, input_tokens, output_tokens, cached_input_tokens, cost_micro_usd, is_priced, attempt,
             duration_ms)
           values ('default', $1, 2, 0, $2, 'x/y', 'y', 'end', 0, 0, 0, 0, true, 1, 1)`,
          [runKey, JSON.stringify(impossible)],
        );
        await t.untilStatus(runKey, 'stuck');
        expect((await t.client.show(runKey)).run.stuckCause).toMatchObject({
          type: 'InvariantViolation',
          message: 'Invariant violated: an allowed call names a pinned tool (ghost)',
        });
        await sql(t, 'delete from pawl.model_steps where run_key = $1 and turn = 2', [runKey]);
        await t.client.resume(runKey);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        expect(t.bank.receipts()).toHaveLength(1);
        expect(t.model.requests()).toHaveLength(2);
      });
    },
  );
});
