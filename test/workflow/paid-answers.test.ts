// Answers of models between their arrival and their judgement: stored and counted once, judged as a whole or not at all.
import { describe, expect } from '@jest/globals';
import {
  crashAt,
  type ModelScript,
  scriptedModel,
  type TestRun,
  toolResults,
  until,
  withTestRun,
} from 'pawl/testing';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, pay, shownResults, sql, TASK } from './clerk.ts';

const agents = (r: Parameters<typeof clerk>[0]) => [clerk(r)];
const USAGE = { inputTokens: 1_000, outputTokens: 100, cacheReadTokens: 0, cacheWriteTokens: 0 };
/** Of claude-haiku-4-5: 1 and 5 USD per million. */
const COST = 1_500;

/** What is left of answers in the ledger, beside steps and transcript. */
const leftOver = (t: TestRun): Promise<Record<string, unknown>[]> =>
  sql(
    t,
    'select turn, kind, answer is null as "isUsedUp", problem from pawl.model_answers order by 1',
  );

describe('an answer that has arrived', () => {
  guarantee(
    'paid-once',
    'the worker dies when it is stored and not judged → one request, one payment, counted once, nothing left over',
    async () => {
      const model = scriptedModel([
        { ...calls(pay('a')), usage: USAGE },
        { ...DONE, usage: USAGE },
      ]);
      const crash = crashAt('after-model-answer', 'clerk', 1);
      await withTestRun({ agents, model, crash }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        expect(t.model.requests()).toHaveLength(2);
        expect(t.bank.receipts()).toHaveLength(1);
        const { run, turns } = await t.client.show(runKey);
        expect(turns.map(({ attempt }) => attempt)).toEqual([1, 1]);
        expect([run.costMicroUsd, run.result?.usage.costMicroUsd]).toEqual([2 * COST, 2 * COST]);
        expect(await leftOver(t)).toEqual([]);
        expect((await t.client.verifyAudit({ run: runKey })).isIntact).toBe(true);
      });
    },
  );

  guarantee(
    ['paid-once', 'no-silent-retries'],
    'PostgreSQL refuses what follows from it → stuck after three tries, one request, the money on the run; mended and resumed, still one request',
    async () => {
      const model = scriptedModel([
        { ...calls(pay('a')), usage: USAGE },
        { ...DONE, usage: USAGE },
      ]);
      await withTestRun({ agents, model }, async (t) => {
        await sql(
          t,
          `create function pawl.refuse_all() returns trigger language plpgsql as $$
           begin raise exception 'unsupported Unicode escape sequence' using errcode = '22P05'; end $$;
           create trigger refuse_all before insert on pawl.calls execute function pawl.refuse_all()`,
        );
        const { runKey, result } = await t.start('clerk', TASK);
        await t.untilStatus(runKey, 'stuck');
        const { run } = await t.client.show(runKey);
        expect(run.stuckCause).toMatchObject({
          type: 'Step.Failed',
          message: expect.stringContaining('unsupported Unicode escape sequence'),
        });
        expect(run.costMicroUsd).toBe(COST);
        expect(t.model.requests()).toHaveLength(1);
        expect((await t.client.verifyAudit({ run: runKey })).isIntact).toBe(true);
        const { checks } = await t.client.doctor();
        const stuck = checks.find(({ name }) => name === 'stuck');
        expect(stuck?.detail).toContain(`${runKey}: pawl.model failed 3 times in a row`);
        await sql(t, 'drop trigger refuse_all on pawl.calls');
        await t.client.resume(runKey);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        expect(t.model.requests()).toHaveLength(2);
        expect(t.bank.receipts()).toHaveLength(1);
      });
    },
  );
});

describe('an answer that is not one to act on', () => {
  guarantee(
    'whole-or-nothing',
    'a payment in a refusal → not paid, the run ends as refused and says so',
    async () => {
      const model = [{ ...calls(pay('a')), text: 'I will not.', stopReason: 'refusal' as const }];
      await withTestRun({ agents, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        const { result: end, output } = await result();
        expect(end).toMatchObject({
          kind: 'refused',
          reason: 'the model refused to answer, or its provider did',
          turns: 1,
        });
        expect(output).toBeNull();
        expect(t.bank.requests()).toEqual([]);
        const { calls: made, turns, effects } = await t.client.show(runKey, { transcript: true });
        expect(made).toMatchObject([{ tool: 'pay', ended: 'invalid' }]);
        expect(turns).toMatchObject([{ stopReason: 'refusal' }]);
        expect(effects).toEqual([]);
      });
    },
  );

  guarantee(
    'whole-or-nothing',
    'a whole payment in front of a cut call → nothing is sent, the model is told of each; asked again it pays once; three in a row end the run',
    async () => {
      const cut = { ...calls(pay('a'), ['notify', '{"subj']), stopReason: 'maxTokens' as const };
      const model = scriptedModel([cut, cut, calls(pay('a')), cut, cut, cut]);
      await withTestRun({ agents, model }, async (t) => {
        const { result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({
          kind: 'invalid_output',
          reason: expect.stringMatching(
            /^Model\.AnswerInvalid: 3 answers in a row.*maxOutputTokens/,
          ),
          turns: 6,
        });
        expect(t.bank.receipts()).toHaveLength(1);
        expect(t.mailbox.requests()).toEqual([]);
        const told = t.model.requests()[1]?.neutral;
        const results = told ? toolResults(told) : [];
        expect(results.map(({ text }) => text)).toEqual([
          expect.stringContaining('answer_cut'),
          expect.stringContaining('answer_cut'),
        ]);
        expect(t.model.requests()[1]?.body).toContain('Your last answer was not used');
        model.assertComplete();
      });
    },
  );

  guarantee(
    'whole-or-nothing',
    'a last answer without anything in it, for a refusal or for a call → not completed',
    async () => {
      const empty = (stopReason: 'refusal' | 'toolCalls') => ({ text: '', stopReason });
      const asked = empty('toolCalls');
      await withTestRun({ agents, model: [empty('refusal')] }, async (t) => {
        const { result } = await t.start('clerk', TASK);
        expect((await result()).result?.kind).toBe('refused');
      });
      await withTestRun({ agents, model: [asked, asked, asked] }, async (t) => {
        const { result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({
          kind: 'invalid_output',
          reason: expect.stringContaining('it holds no call'),
        });
      });
    },
  );

  guarantee(
    'whole-or-nothing',
    'ten thousand calls in one answer → the first 128 are looked at, each gets its result, and the run goes on',
    async () => {
      const many = calls(
        ...Array.from({ length: 10_000 }, (_, n): [string, unknown] => [`none_${n}`, {}]),
      );
      await withTestRun({ agents, model: [many, DONE] }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 2 });
        const told = shownResults(t).map(({ text }) => text);
        expect(told).toHaveLength(10_000);
        expect(told.filter((text) => text.includes('unknown_tool'))).toHaveLength(128);
        expect(told.filter((text) => text.includes('too_many_calls'))).toHaveLength(9_872);
        const { events = [] } = await t.history(runKey);
        const sizes = (events ?? []).map((event) => JSON.stringify(event).length);
        expect(Math.max(...sizes)).toBeLessThan(200_000);
      });
    },
  );
});

describe('a compaction', () => {
  const agent = (r: Parameters<typeof clerk>[0]) => [
    clerk(r, { compaction: { turns: 2, keepTurns: 1 }, budget: { turns: 40 } }),
  ];
  /** Pays three invoices; `summaries` are what it says when it is asked for one. */
  const payThree = (summaries: ReturnType<typeof calls>[]): ModelScript => {
    let asked = 0;
    return (request) => {
      const last = request.messages.at(-1)?.parts ?? [];
      if (last.some((part) => part.kind === 'text' && part.text.includes('Summarise'))) {
        return { usage: USAGE, ...(summaries[asked++] ?? { text: 'a summary' }) };
      }
      const done = t3(request);
      return { usage: USAGE, ...(done < 3 ? calls(pay(`r-${done}`)) : DONE) };
    };
  };
  const t3 = (request: Parameters<ModelScript>[0]): number =>
    new Set(JSON.stringify(request.messages).match(/r-\d/g) ?? []).size;

  guarantee(
    ['whole-or-nothing', 'compaction'],
    'answered with nothing, a refusal, a call → the turns are kept, asked again at most twice, each paid and counted, and shown',
    async () => {
      const bad = [
        { text: '' },
        { text: 'I will not.', stopReason: 'refusal' as const },
        calls(pay('r-9')),
      ];
      await withTestRun({ agents: agent, model: payThree(bad) }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        expect((await result()).result?.kind).toBe('completed');
        expect(t.bank.receipts()).toHaveLength(3);
        const { run, unusedAnswers } = await t.client.show(runKey);
        const kept = unusedAnswers.filter(({ turn }) => turn === 3);
        expect(kept.map(({ problem }) => problem)).toEqual([
          'an empty summary',
          'no whole summary: refusal',
          'a call in place of a summary',
        ]);
        expect(run.costMicroUsd).toBe(t.model.requests().length * COST);
        expect(run.result?.usage.costMicroUsd).toBe(run.costMicroUsd);
        // The turn behind it is shown all that was said.
        const next = t.model.requests().find(({ neutral }, at) => at >= 5 && neutral)?.neutral;
        expect(next && JSON.stringify(next.messages)).toContain('r-0');
        expect((await t.client.verifyAudit({ run: runKey })).isIntact).toBe(true);
      });
    },
  );

  guarantee('whole-or-nothing', 'cut, then whole → the second one is the summary', async () => {
    const cut = { text: 'r-0 was pa', stopReason: 'maxTokens' as const };
    const whole = { text: 'r-0 and r-1 were paid.' };
    await withTestRun({ agents: agent, model: payThree([cut, whole]) }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      expect((await result()).result?.kind).toBe('completed');
      const { compactions, unusedAnswers } = await t.client.show(runKey);
      expect(compactions.length).toBeGreaterThan(0);
      expect(unusedAnswers).toMatchObject([{ problem: 'no whole summary: max-tokens' }]);
      const bodies = t.model.requests().map(({ body }) => body);
      expect(bodies.some((body) => body.includes('r-0 and r-1 were paid.'))).toBe(true);
      expect(bodies.some((body) => body.includes('r-0 was pa'))).toBe(false);
    });
  });
});

describe('a provider that asks for a long wait', () => {
  const late = { kind: 'status', status: 429, retryAfterSeconds: 86_400 } as const;
  const worker = { random: () => 0 };

  guarantee('visible-waits', 'while there is a fallback → that one is asked at once', async () => {
    const fallbacks = ['openai/gpt-5-mini'];
    const primary = 'anthropic/claude-haiku-4-5';
    const both = (r: Parameters<typeof clerk>[0]) => [clerk(r, { model: { primary, fallbacks } })];
    const model: ModelScript = ({ provider }) => (provider === 'anthropic' ? late : DONE);
    await withTestRun({ agents: both, model, worker }, async (t) => {
      const { result } = await t.start('clerk', TASK);
      expect((await result()).result).toMatchObject({ kind: 'completed' });
      expect(t.model.requests().map(({ status }) => status)).toEqual([429, 200]);
    });
  });

  guarantee(
    'visible-waits',
    'without one → shown in show, list and Temporal with its end within ten minutes; a resume ends it',
    async () => {
      await withTestRun({ agents, model: scriptedModel([late, DONE]), worker }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        await t.untilStatus(runKey, 'waiting_model');
        const { run } = await t.client.show(runKey);
        const { until: untilText, reason } = run.modelWait ?? { until: '', reason: '' };
        expect(Date.parse(untilText) - Date.now()).toBeLessThan(600_100);
        expect(Date.parse(untilText) - Date.now()).toBeGreaterThan(500_000);
        expect(reason).toContain('anthropic limits the rate');
        const handle = t.temporal.workflow.getHandle(runKey);
        await until(
          async () => (await handle.query<{ step: string }>('pawl.status')).step === 'await-model',
        );
        const { detail } = await handle.query<{ detail: string }>('pawl.status');
        expect(detail).toContain('pawl resume');
        expect(await t.client.resume(runKey)).toMatchObject({ was: 'waiting' });
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 1 });
        expect(t.model.requests()).toHaveLength(2);
        expect((await t.client.show(runKey)).run.modelWait).toBeNull();
      });
    },
  );
});
