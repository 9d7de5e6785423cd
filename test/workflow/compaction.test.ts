// What the model is shown from turn to turn: byte-stable prefixes, and a compaction as a recorded and priced step.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  crashAt,
  type ModelScript,
  type TestRun,
  toolResults,
  until,
  withTestRun,
} from 'pawl/testing';
import type { NeutralRequest } from '../../devstack/receivers/index.ts';
import type { TemporalServer } from '../../devstack/servers/temporal-server.ts';
import { guarantee } from '../guarantee.ts';
import { startRenewingTemporal } from '../renewing-temporal.ts';
import { calls, clerk, DONE, pay, sql, TASK } from './clerk.ts';

const SUGGEST_AT_EVENTS = 60;
let server: TemporalServer;

beforeAll(async () => {
  server = await startRenewingTemporal(SUGGEST_AT_EVENTS);
});
afterAll(() => server.stop());

const textOf = ({ messages }: NeutralRequest, at: number): string =>
  (messages.at(at)?.parts ?? []).flatMap((p) => (p.kind === 'text' ? [p.text] : [])).join('');

const isAsked = (request: NeutralRequest): boolean => textOf(request, -1).includes('Summarise');

/** The number of payments that it knows of: by their results, or by the summary that took their place. */
function paidIn(request: NeutralRequest): number {
  const summary = request.messages.flatMap(({ parts }) =>
    parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])),
  );
  const known = summary.join('\n').match(/pay r-\d+/g) ?? [];
  const references = toolResults(request).flatMap(({ text }) => text.match(/r-\d+/) ?? []);
  return new Set([...known.map((text) => text.slice(4)), ...references]).size;
}

/** Pays `count` invoices, one a turn; summarises when it is asked to. */
const payOneATurn =
  (count: number): ModelScript =>
  (request) => {
    if (isAsked(request)) return { text: 'I pay what is due, one after the other.' };
    const done = paidIn(request);
    return done < count ? calls(pay(`r-${done}`)) : DONE;
  };

/** A wire request without the marks that only tell the provider where to cache. */
function unmarked(body: string): { readonly head: string; readonly messages: readonly string[] } {
  const { messages, ...head } = JSON.parse(body, (key, value: unknown) =>
    key === 'cache_control' ? undefined : value,
  ) as { messages: unknown[] };
  return { head: JSON.stringify(head), messages: messages.map((each) => JSON.stringify(each)) };
}

async function modelSteps(t: TestRun, runKey: string) {
  const { turns } = await t.client.show(runKey);
  return turns.map(({ inputTokens, cachedInputTokens }) => ({ inputTokens, cachedInputTokens }));
}

describe('the request of a turn', () => {
  guarantee(
    'prefix-stable',
    'forty turns, worker restarts, continue-as-new, a deploy with other instructions → each request is a prefix of the next, over 95 % cached',
    async () => {
      const agent: { instructions: string }[] = [];
      const agents = (r: Parameters<typeof clerk>[0]) => {
        const one = clerk(r, {
          instructions: `You pay. ${'Be careful. '.repeat(200)}`,
          budget: { turns: 50 },
        });
        agent.push(one as { instructions: string });
        return [one];
      };
      const options = { agents, model: payOneATurn(40), temporalAddress: server.address };
      await withTestRun(options, async (t) => {
        const { runKey } = await t.start('clerk', TASK);
        for (const paid of [7, 15, 28]) {
          await until(() => t.bank.receipts().length >= paid);
          await t.stopWorker();
          for (const one of agent) one.instructions = `deployed after ${paid}`;
          await t.startWorker();
        }
        expect((await t.result(runKey)).result).toMatchObject({ kind: 'completed', turns: 41 });
        const { count } = await t.temporal.workflow.count(`WorkflowId = '${runKey}'`);
        expect(count).toBeGreaterThanOrEqual(3);
        const requests = t.model.requests().map(({ body }) => unmarked(body));
        for (const [at, { head, messages }] of requests.slice(1).entries()) {
          const before = requests[at];
          expect(head).toBe(before?.head);
          expect(messages.slice(0, before?.messages.length)).toEqual(before?.messages);
        }
        const steps = await modelSteps(t, runKey);
        const total = steps.reduce((sum, step) => sum + step.inputTokens, 0);
        const cached = steps.reduce((sum, step) => sum + step.cachedInputTokens, 0);
        expect(cached / total).toBeGreaterThan(0.95);
      });
    },
    180_000,
  );
});

describe('compaction', () => {
  const compacted = { compaction: { turns: 4, keepTurns: 2 }, budget: { turns: 40 } };
  const options = () => ({
    agents: (r: Parameters<typeof clerk>[0]) => [clerk(r, compacted)],
    model: payOneATurn(10),
    temporalAddress: server.address,
  });

  guarantee(
    'compaction',
    'every four turns → the input, the summary with the effects from the ledger and the last turns; each payment once, priced and shown',
    async () => {
      await withTestRun(options(), async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 11 });
        expect(t.bank.receipts().map(({ reference }) => reference)).toHaveLength(10);
        const asked = t.model.requests().filter(({ neutral }) => neutral && isAsked(neutral));
        const { compactions, run } = await t.client.show(runKey);
        expect(asked).toHaveLength(2);
        expect(compactions.map(({ turn }) => turn)).toEqual([5, 9]);
        const last = t.model.requests().at(-1)?.neutral;
        expect(last && textOf(last, 0)).toContain('pay what is due');
        expect(last && textOf(last, 0)).toContain('I pay what is due, one after the other.');
        expect(last && textOf(last, 0)).toMatch(/ef_\w+ applied: pay r-5/);
        // Input and summary, then two turns of before and two since, each a call and its result.
        expect(toolResults(last ?? ({ messages: [] } as never)).length).toBeLessThanOrEqual(4);
        const tokens = [...(await modelSteps(t, runKey)), ...compactions];
        expect(run.inputTokens).toBe(tokens.reduce((sum, step) => sum + step.inputTokens, 0));
        expect(run.result?.usage.costMicroUsd).toBe(run.costMicroUsd);
      });
    },
  );

  guarantee('compaction', 'the worker dies behind the summary → asked for it once', async () => {
    const crash = crashAt('after-model-commit', 'clerk', 5);
    await withTestRun({ ...options(), crash }, async (t) => {
      const { runKey } = await t.start('clerk', TASK);
      expect((await t.result(runKey)).result?.kind).toBe('completed');
      const asked = t.model.requests().filter(({ neutral }) => neutral && isAsked(neutral));
      expect(asked).toHaveLength(2);
      const rows = await sql(t, 'select turn from pawl.compactions order by turn');
      expect(rows).toEqual([{ turn: 5 }, { turn: 9 }]);
    });
  });

  it('by tokens → due when the last request was large; another model may summarise', async () => {
    const policy = { tokens: 700, keepTurns: 1, model: 'openai/gpt-5-mini' };
    const agents = (r: Parameters<typeof clerk>[0]) => [
      clerk(r, { compaction: policy, budget: { turns: 40 } }),
    ];
    await withTestRun({ ...options(), agents }, async (t) => {
      const { runKey, result } = await t.start('clerk', TASK);
      expect((await result()).result?.kind).toBe('completed');
      const { compactions, turns } = await t.client.show(runKey);
      expect(compactions.length).toBeGreaterThan(0);
      const [first] = compactions;
      const before = turns.find(({ turn }) => turn === (first?.turn ?? 0) - 1);
      expect((before?.inputTokens ?? 0) + (before?.outputTokens ?? 0)).toBeGreaterThanOrEqual(700);
      expect(first?.modelRequested).toBe('openai/gpt-5-mini');
      expect(t.bank.receipts()).toHaveLength(10);
    });
  });
});
