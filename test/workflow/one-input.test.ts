// One form of a tool's input from the model's JSON to the wire and back, and mistakes in a tool's own code, by the bank's log.
import { join } from 'node:path';
import { describe, expect } from '@jest/globals';
import { defineTool, httpEffect, type ToolContext } from 'pawl';
import { type Receivers, withTestRun } from 'pawl/testing';
import { z } from 'zod';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, sql, TASK } from './clerk.ts';

const payment = z.object({
  reference: z.string().refine((text) => Promise.resolve(text !== 'unknown'), 'is no order'),
  cents: z.string().transform(Number),
  due: z.coerce.date(),
  currency: z.string().default('EUR'),
});
type Payment = z.infer<typeof payment>;

/** A payment whose input its schema makes into other types; its output never matches. */
function payTool({ bank }: Receivers, seen: unknown[], amount?: (input: Payment) => never) {
  const post = (reference: (input: Payment) => string) =>
    httpEffect({
      request: (input: Payment) => ({
        url: `${bank.url}/transfers`,
        body: {
          reference: reference(input),
          payee: input.due.toISOString(),
          amountMinor: input.cents,
          currency: input.currency,
        },
      }),
      response: (body) => body as { receipt: string },
    });
  const undo = post(({ reference }) => `${reference}-undo`);
  return defineTool({
    name: 'pay',
    description: 'Pays.',
    input: payment,
    output: z.object({ receipt: z.string() }),
    effect: {
      key: { retention: '24h' },
      identity: (input) => (seen.push(input), ['payment', input.reference]),
      amount: amount ?? (({ cents, currency }) => ({ minor: cents, currency })),
    },
    timeout: '5s',
    run: (input, ctx) => (seen.push(input), post(({ reference }) => reference)(input, ctx)),
    compensate: (input: Payment, output: unknown, ctx: ToolContext) => {
      seen.push([input, output]);
      return undo(input, ctx);
    },
  });
}

/** The same mistake in a tool of a plain workflow. */
function plainTool(amount: () => never) {
  return defineTool({
    name: 'pay_plain',
    description: 'Pays.',
    input: z.object({ reference: z.string() }),
    output: z.unknown(),
    effect: { amount },
    run: () => Promise.reject(new Error('never asked')),
  });
}

const given = { reference: 'a', cents: '500', due: '2026-11-30' };
const value = { reference: 'a', cents: 500, due: new Date('2026-11-30'), currency: 'EUR' };

describe('a tool whose schema changes its input', () => {
  guarantee(
    'one-input',
    'identity, run and compensate see one value; an output that is invalid is undone all the same',
    async () => {
      const seen: unknown[] = [];
      const model = [
        calls(['pay', { ...given, reference: 'unknown' }], ['pay', given]),
        { text: '{"paid": ["a"]}' },
      ];
      const output = z.object({
        paid: z.array(z.string()),
        skipped: z.array(z.string()).default([]),
      });
      const input = z.object({ task: z.string(), tone: z.string().default('kind') });
      const agents = (r: Receivers) => [
        { ...clerk(r, { tools: [payTool(r, seen)], output: output as z.ZodType }), input },
      ];
      await withTestRun({ agents, model }, async (t) => {
        const run = await t.start('clerk', TASK);
        expect(await run.result()).toMatchObject({
          result: { kind: 'completed' },
          output: { paid: ['a'], skipped: [] },
        });
        const [first] = t.model.requests();
        expect(JSON.stringify(first?.neutral?.messages)).toContain('\\"tone\\":\\"kind\\"');
        expect(t.bank.receipts()).toMatchObject([
          { reference: 'a', amountMinor: 500, currency: 'EUR' },
        ]);
        expect(seen).toEqual([value, value]);
        const [stored] = await sql(t, 'select arguments, output_problem from pawl.effects');
        expect(stored).toMatchObject({ arguments: given, output_problem: expect.any(String) });
        await t.client.compensate(run.runKey);
        expect(t.bank.receipts().map(({ reference }) => reference)).toEqual(['a', 'a-undo']);
        expect(seen.at(-1)).toEqual([value, expect.objectContaining({ reference: 'a' })]);
      });
    },
  );

  guarantee(
    'judging-is-total',
    'an amount that throws → stuck with tool and function, nothing sent; a plain workflow fails',
    async () => {
      const broken = (): never => {
        throw new RangeError('no rate for EUR');
      };
      const options = {
        agents: (r: Receivers) => [clerk(r, { tools: [payTool(r, [], broken)] })],
        tools: [plainTool(broken)],
        model: [calls(['pay', given]), DONE],
        workflowsPath: join(import.meta.dirname, 'fixtures/plain-workflows.ts'),
      };
      await withTestRun(options, async (t) => {
        const { runKey } = await t.start('clerk', TASK);
        await t.untilStatus(runKey, 'stuck');
        expect((await t.client.show(runKey)).run.stuckCause).toMatchObject({
          type: 'Code.Invalid',
          message: expect.stringContaining(
            'Tool "pay": `amount` threw RangeError: no rate for EUR',
          ),
        });
        expect(t.model.requests()).toHaveLength(1);
        const failed: unknown = await t.temporal.workflow
          .execute('payBy', {
            workflowId: `${t.taskQueue}-plain`,
            taskQueue: t.taskQueue,
            args: [{ runKey: 'plain', reference: 'b', tool: 'pay_plain' }],
          })
          .catch((error: unknown) => error);
        expect(failed).toMatchObject({ cause: { cause: { type: 'Code.Invalid' } } });
        expect(t.bank.requests()).toEqual([]);
      });
    },
  );
});
