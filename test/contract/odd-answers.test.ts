// Changed streams through the real model activity on a real PostgreSQL: each answer that arrived is stored with its usage.
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { z } from 'zod';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import type { ModelProvider } from '../../activities/models/model-provider.ts';
import { modelStep } from '../../activities/runs/model-step.ts';
import { openRun } from '../../activities/runs/open-run.ts';
import type { RunDeps } from '../../activities/runs/run-deps.ts';
import { defineAgent } from '../../domain/schemas/define-agent.ts';
import { defineTool } from '../../domain/schemas/define-tool.ts';
import { type ChangedStream, changeStream } from '../fuzz/streams/change-stream.ts';
import { adapters } from '../unit/raw-streams.ts';
import { guarantee } from '../guarantee.ts';
import { type ClientDatabase, createClientDatabase, insertRun, TENANT } from './client-fixtures.ts';
import { createStepDeps } from './support-model-step.ts';

const seed = Number(process.env['PAWL_TEST_SEED'] ?? randomInt(2 ** 31 - 1));
const CASES = Number(process.env['PAWL_ODD_ANSWERS'] ?? 60);

/** Failed calls are part of the game. */
const logger = new DefaultLogger('ERROR');

const tool = (name: string) =>
  defineTool({
    name,
    description: name,
    input: z.object({ to: z.string().optional(), amount: z.number().optional() }),
    output: z.object({}),
    effect: 'once',
    run: () => Promise.resolve({}),
  });
const odd = defineAgent({
  name: 'odd',
  input: z.object({}),
  instructions: 'Pay.',
  tools: ['pay', 'refund', 'wipe'].map(tool),
  model: { primary: 'odd/model-1' },
});

let rows: ClientDatabase;
let database: Database;
let deps: RunDeps;
let next: ChangedStream;

/** Both real adapters, by the format of the stream that comes next. */
const provider: ModelProvider = {
  name: 'odd',
  call: (request, context) =>
    adapters[next.stream.format].call(request, {
      ...context,
      fetch: () =>
        Promise.resolve(
          new Response(next.body, { headers: { 'content-type': 'text/event-stream' } }),
        ),
    }),
};

beforeAll(async () => {
  rows = await createClientDatabase();
  database = openDatabase({ url: rows.url });
  deps = await createStepDeps(database, [odd], provider);
});
afterAll(async () => {
  await database.close();
  await rows.drop();
});

describe('changed streams, answered to a run', () => {
  guarantee('answers-read', 'each that arrived → stored once, its tokens on the run', async () => {
    const kinds = new Set<string>();
    for (let number = 0; number < CASES; number += 1) {
      next = changeStream(seed, number);
      kinds.add(await runStep());
    }
    expect(kinds).toEqual(new Set(['stored', 'failed']));
  });
});

/** One turn of a run of its own. */
async function runStep(): Promise<'stored' | 'failed'> {
  const runKey = await insertRun(rows, { agent: 'odd', agentHash: null, turn: 0, input: {} });
  const place = { tenant: TENANT, rootKey: runKey };
  const opened = await openRun(deps, { v: 1, ...place, runKey, agent: 'odd' });
  if (opened.kind !== 'opened') throw new Error(opened.reason);
  const address = { ...place, path: [], turn: 1, generation: 0 };
  const agentHash = opened.agent.hash;
  const input = { v: 1, address, runKey, agent: 'odd', agentHash } as const;
  const step = new MockActivityEnvironment(undefined, { logger }).run(() => modelStep(deps, input));
  const error: unknown = await step.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  const [run] = await rows.query(
    `select r.output_tokens::integer - 812 as tokens,
       (select count(*)::integer from pawl.model_steps s where s.run_key = r.run_key) as steps
     from pawl.runs r where r.run_key = $1`,
    [runKey],
  );
  const said = { seed, changes: next.changes, error, body: next.body };
  if (!next.wire.isWhole) return error === undefined ? 'stored' : 'failed';
  expect({ ...said, run }).toMatchObject({ error: undefined, run: { steps: 1 } });
  const reported = next.wire.outputTokens;
  if (
    reported.every((count) => Number.isInteger(count) && Number(count) >= 0 && Number(count) < 1e9)
  )
    expect({ ...said, tokens: run?.['tokens'] }).toMatchObject({ tokens: reported.at(-1) ?? 0 });
  return 'stored';
}
