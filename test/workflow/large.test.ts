// What is larger than Temporal's payloads and messages: results, answers, arguments, steering. Nothing lost, nothing terminated.
import { describe, expect } from '@jest/globals';
import { defineTool, httpEffect } from 'pawl';
import {
  type ModelScript,
  type Receivers,
  type TestRun,
  toolResults,
  withTestRun,
} from 'pawl/testing';
import { z } from 'zod';
import { guarantee } from '../guarantee.ts';
import { calls, clerk, DONE, TASK } from './clerk.ts';

const MB = 1024 * 1024;
const RESULT_BYTES = 5 * MB;
const ANSWER_BYTES = 3 * MB;
const ARGUMENT_BYTES = 500 * 1024;
const PARALLEL = 10;
/** Beyond 10,000 Temporal refuses further signals to one execution. PAWL_LONG_FULL=1 goes there. */
const STEERED = process.env['PAWL_LONG_FULL'] ? 20_000 : 200;
const BATCH = 100;

const input = z.object({ reference: z.string(), text: z.string().default('') });
const receipt = z.object({ transferId: z.string(), text: z.string() });

/** Transfers, with a long text in its arguments or its result. */
function transferTool({ bank }: Receivers, name: string, resultBytes: number, parallel: boolean) {
  return defineTool({
    name,
    description: 'Transfers.',
    input,
    output: receipt,
    effect: { key: { retention: '24h' }, identity: ({ reference }) => ['transfer', reference] },
    parallel,
    timeout: '30s',
    run: httpEffect({
      request: ({ reference }) => ({
        url: `${bank.url}/transfers`,
        body: { reference, payee: 'Acme', amountMinor: 1, currency: 'EUR' },
      }),
      response: (body) => ({
        ...z.object({ transferId: z.string() }).parse(body),
        text: 'r'.repeat(resultBytes),
      }),
    }),
  });
}

const agents = (receivers: Receivers) => [
  clerk(receivers, {
    policy: new URL('./fixtures/large.cedar', import.meta.url).pathname,
    tools: [
      transferTool(receivers, 'fetch_report', RESULT_BYTES, false),
      transferTool(receivers, 'send_report', 10, true),
    ],
    budget: { turns: 10, usd: '10000.00' },
  }),
];

function lastRequest(t: TestRun): Parameters<ModelScript>[0] {
  const neutral = t.model.requests().at(-1)?.neutral;
  if (!neutral) throw new Error('the model was not asked');
  return neutral;
}

async function largestEvent(t: TestRun, runKey: string): Promise<number> {
  const { events } = await t.history(runKey);
  const sizes = (events ?? []).map((event) => JSON.stringify(event).length);
  return Math.max(...sizes);
}

describe('a run with what is too large for Temporal', () => {
  guarantee(
    'long-limits',
    'a 5 MB result, ten parallel calls of 500 KB, a 3 MB answer → completed, each sent once, history small',
    async () => {
      const reports = Array.from({ length: PARALLEL }, (_, at): [string, object] => [
        'send_report',
        { reference: `p-${at}`, text: `${at}`.repeat(ARGUMENT_BYTES) },
      ]);
      const model: ModelScript = (request) => {
        const done = toolResults(request).length;
        if (done === 0) return calls(['fetch_report', { reference: 'big' }]);
        if (done === 1) return calls(...reports);
        return { text: 'a'.repeat(ANSWER_BYTES) };
      };
      await withTestRun({ agents, model }, async (t) => {
        const { runKey, result } = await t.start('clerk', TASK);
        expect((await result()).result).toMatchObject({ kind: 'completed', turns: 3 });
        expect(t.bank.requests()).toHaveLength(1 + PARALLEL);
        expect(t.bank.receipts()).toHaveLength(1 + PARALLEL);
        const { output, calls: made } = await t.client.show(runKey);
        expect(output).toBe('a'.repeat(ANSWER_BYTES));
        expect(made.map(({ ended }) => ended)).toEqual(Array(1 + PARALLEL).fill('applied'));
        const seen = toolResults(lastRequest(t));
        expect(JSON.stringify(seen[0]).length).toBeGreaterThan(RESULT_BYTES);
        expect(await largestEvent(t, runKey)).toBeLessThan(16_000);
      });
    },
  );

  guarantee(
    'long-limits',
    `${STEERED} steering messages while no worker is there → each is shown to the model once, in order`,
    async () => {
      const model: ModelScript = (request) =>
        toolResults(request).length === 0
          ? { ...calls(['send_report', { reference: 'a' }]), delayMs: 1_000 }
          : DONE;
      await withTestRun({ agents, model }, async (t) => {
        const { runKey } = await t.start('clerk', TASK);
        await t.stopWorker();
        for (let at = 0; at < STEERED; at += BATCH) {
          const texts = Array.from({ length: BATCH }, (_, n) => `m-${at + n}`);
          await Promise.all(texts.map((text) => t.client.steer(runKey, text)));
        }
        await t.startWorker();
        expect((await t.result(runKey, 240_000)).result).toMatchObject({ kind: 'completed' });
        const said = JSON.stringify(lastRequest(t).messages).match(/"m-\d+"/g) ?? [];
        expect(said).toHaveLength(STEERED);
        expect(new Set(said).size).toBe(STEERED);
        // A batch goes out at once; one batch behind the other.
        const batches = said.map((text) => Math.floor(Number(text.slice(3, -1)) / BATCH));
        expect(batches).toEqual([...batches].sort((a, b) => a - b));
      });
    },
    300_000,
  );
});
