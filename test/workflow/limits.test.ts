// What a run may use: a poison read is cut at its own limit, and the model is asked exactly as often as the task needs.
import { once } from 'node:events';
import { describe, expect } from '@jest/globals';
import { z } from 'zod';
import { defineAgent, defineTool } from '../../domain/index.ts';
import type { Bank } from '../../devstack/receivers/index.ts';
import type { ToolContext } from '../../domain/schemas/tool-context.ts';
import { until, withTestRun } from '../../testing/index.ts';
import { guarantee } from '../guarantee.ts';

const policy = new URL('../../bench/paying-agent.cedar', import.meta.url).pathname;
const model = { primary: 'anthropic/claude-sonnet-5-5' };

const reads = (bank: Bank): number => bank.requests({ method: 'GET' }).length;

/** A query that no deadline can cut before it is on the wire: however slow the machine, each attempt is seen there. */
function poisonQuery(bank: Bank): (input: object, ctx: ToolContext) => Promise<void> {
  let attempts = 0;
  return async (_input, ctx) => {
    attempts += 1;
    // It ends when the bank does.
    ctx.fetch(`${bank.url}/transfers?reference=POISON`).catch(() => undefined);
    await until(() => reads(bank) === attempts, { what: 'the query on the wire' });
    if (!ctx.signal.aborted) await once(ctx.signal, 'abort');
    ctx.signal.throwIfAborted();
  };
}

describe('limits', () => {
  guarantee(
    'S2-05a',
    'a query that always times out → exactly its maximumAttempts on the wire, and the model is told',
    () =>
      withTestRun(
        {
          agents: ({ bank }) => [
            defineAgent({
              name: 'asker',
              input: z.object({}),
              instructions: 'Ask.',
              model,
              policy,
              tools: [
                defineTool({
                  name: 'ask',
                  description: 'Asks the bank.',
                  input: z.object({}),
                  output: z.unknown(),
                  effect: 'read',
                  timeout: '300ms',
                  retry: { maximumAttempts: 3 },
                  run: poisonQuery(bank),
                }),
              ],
            }),
          ],
          model: [{ toolCalls: [{ name: 'ask', arguments: {} }] }, { text: 'it does not answer' }],
        },
        async (t) => {
          t.bank.setMode({ path: '/transfers', method: 'GET' }, 'hang-before-commit');
          const run = await t.start('asker', {});
          const { result } = await run.result();
          expect(result).toMatchObject({ kind: 'completed', turns: 2 });
          expect(reads(t.bank)).toBe(3);
          const told = JSON.stringify(t.model.requests().at(-1)?.neutral?.messages);
          expect(told).toContain('tool_failed');
          expect(t.model.requests()).toHaveLength(2);
        },
      ),
  );

  guarantee(
    'S0-13',
    'a task of two tools and an answer → three requests to the model, not one more',
    () =>
      withTestRun(
        {
          agents: [
            defineAgent({
              name: 'counter',
              input: z.object({}),
              instructions: 'Count twice.',
              model,
              policy,
              tools: [
                defineTool({
                  name: 'count',
                  description: 'Counts.',
                  input: z.object({ to: z.number() }),
                  output: z.object({ sum: z.number() }),
                  effect: 'read',
                  run: ({ to }) => Promise.resolve({ sum: (to * (to + 1)) / 2 }),
                }),
              ],
            }),
          ],
          model: [
            { toolCalls: [{ name: 'count', arguments: { to: 3 } }] },
            { toolCalls: [{ name: 'count', arguments: { to: 4 } }] },
            { text: '16' },
          ],
        },
        async (t) => {
          const run = await t.start('counter', {});
          expect((await run.result()).result).toMatchObject({ kind: 'completed', turns: 3 });
          expect(t.model.requests()).toHaveLength(3);
        },
      ),
  );
});
