// A model's answer that is judged later than it arrived, and runs that have changed or ended meanwhile; real PostgreSQL.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { z } from 'zod';
import { type Database, openDatabase } from '../../activities/ledger/database.ts';
import { createAgentRegistry } from '../../activities/runs/agent-registry.ts';
import { modelStep } from '../../activities/runs/model-step.ts';
import { openRun } from '../../activities/runs/open-run.ts';
import type { RunDeps } from '../../activities/runs/run-deps.ts';
import type { ModelStepResult } from '../../domain/rules/run.ts';
import type { ModelAnswer, ModelRequest } from '../../domain/rules/transcript.ts';
import { defineAgent } from '../../domain/schemas/define-agent.ts';
import { guarantee } from '../guarantee.ts';
import { type ClientDatabase, createClientDatabase, insertRun, TENANT } from './client-fixtures.ts';
import { createStepDeps } from './support-model-step.ts';

const clerk = (turns: number) =>
  defineAgent({
    name: 'clerk',
    input: z.object({}),
    instructions: 'Answer.',
    tools: [],
    model: { primary: 'any/model-1' },
    budget: { turns },
  });
const ANSWER: ModelAnswer = {
  parts: [{ kind: 'text', text: 'the answer' }],
  usage: { inputTokens: 10, outputTokens: 5, cachedInputTokens: 0 },
  stopReason: 'end',
  servedModel: 'model-1',
};

let rows: ClientDatabase;
let database: Database;
let deps: RunDeps;
/** What the model was asked. */
let asked: ModelRequest[];
let whileAsked: () => Promise<unknown>;

beforeAll(async () => {
  rows = await createClientDatabase();
  database = openDatabase({ url: rows.url });
  const provider = {
    name: 'any',
    call: async (request: ModelRequest): Promise<ModelAnswer> => {
      asked.push(request);
      await whileAsked();
      return ANSWER;
    },
  };
  deps = await createStepDeps(database, [clerk(10)], provider);
});
beforeEach(() => {
  asked = [];
  whileAsked = () => Promise.resolve();
});
afterAll(async () => {
  await database.close();
  await rows.drop();
});

const dying = (): RunDeps => ({
  ...deps,
  crash: (point) => {
    if (point === 'after-model-answer') throw new Error('the worker dies');
  },
});

interface Opened {
  readonly runKey: string;
  /** One attempt at a turn's step. */
  step(turn: number, with_?: RunDeps, heartbeatDetails?: unknown): Promise<ModelStepResult>;
}

async function open(): Promise<Opened> {
  const runKey = await insertRun(rows, { agent: 'clerk', agentHash: null, turn: 0, input: {} });
  const place = { tenant: TENANT, rootKey: runKey };
  const opened = await openRun(deps, { v: 1, ...place, runKey, agent: 'clerk' });
  if (opened.kind !== 'opened') throw new Error(opened.reason);
  const agentHash = opened.agent.hash;
  return {
    runKey,
    step: (turn, with_ = deps, heartbeatDetails = undefined) => {
      const address = { ...place, path: [], turn, generation: 0 };
      const input = { v: 1, address, runKey, agent: 'clerk', agentHash, canWait: true } as const;
      const logger = new DefaultLogger('ERROR');
      const attempt = new MockActivityEnvironment({ heartbeatDetails }, { logger });
      return attempt.run(() => modelStep(with_, input)) as Promise<ModelStepResult>;
    },
  };
}

const say = (runKey: string, text: string): Promise<unknown> =>
  rows.query(
    `insert into pawl.messages (tenant, run_key, id, author, text) values ($1, $2, $3, 'anna', $3)`,
    [TENANT, runKey, text],
  );

describe('an answer that is judged later', () => {
  guarantee(
    'paid-once',
    'something was said since it was asked for → it has not seen that: the next turn is asked with it',
    async () => {
      const { runKey, step } = await open();
      await say(runKey, 'before');
      whileAsked = () => say(runKey, 'meanwhile');
      await expect(step(1, dying())).rejects.toThrow('the worker dies');
      whileAsked = () => Promise.resolve();
      await say(runKey, 'after');

      expect(await step(1)).toMatchObject({ kind: 'answered', final: { isValid: true } });
      const read = await rows.query(
        'select id, consumed_turn from pawl.messages where run_key = $1 order by created_at',
        [runKey],
      );
      expect(read.map(({ id, consumed_turn }) => [id, consumed_turn])).toEqual([
        ['before', 1],
        ['meanwhile', null],
        ['after', null],
      ]);
      await step(2);
      expect(asked).toHaveLength(2);
      const words = (asked[1]?.messages ?? []).map(({ parts }) =>
        parts.map((part) => (part.kind === 'text' ? part.text : '')).join(''),
      );
      expect(words.slice(1)).toEqual(['before', 'the answer', 'meanwhile', 'after']);
    },
  );

  guarantee(
    'no-silent-retries',
    'three attempts ended in its judgement → the step ends, and nothing is asked again',
    async () => {
      const { step } = await open();
      await expect(step(1, dying())).rejects.toThrow('the worker dies');
      await expect(step(1, deps, { v: 1, judged: 3 })).rejects.toMatchObject({
        type: 'Step.Failed',
        nonRetryable: true,
      });
      expect(asked).toHaveLength(1);
    },
  );

  guarantee('paid-once', 'its run was erased meanwhile → counted, and not kept', async () => {
    const { runKey, step } = await open();
    whileAsked = () =>
      rows.query('update pawl.runs set erased_at = clock_timestamp() where run_key = $1', [runKey]);
    await expect(step(1, dying())).rejects.toThrow('the worker dies');
    const [row] = await rows.query(
      `select a.answer, r.output_tokens::integer as tokens from pawl.model_answers a
       join pawl.runs r using (tenant, run_key) where run_key = $1`,
      [runKey],
    );
    expect(row).toMatchObject({ answer: null, tokens: 812 + 5 });
  });
});

describe('a run that has ended', () => {
  guarantee(
    'order-not-authority',
    'a workflow that goes on with it → refused, nothing is asked; ended in Temporal only → it goes on',
    async () => {
      const { runKey, step } = await open();
      const end = (kind: string): Promise<unknown> =>
        rows.query(
          'update pawl.runs set finished_at = clock_timestamp(), result = $2 where run_key = $1',
          [runKey, { kind }],
        );
      for (const kind of ['completed', 'over_budget', 'deadline_passed', 'blocked']) {
        await end(kind);
        await expect(step(1)).rejects.toMatchObject({ type: 'Authority.Refused' });
      }
      expect(asked).toEqual([]);
      await end('terminated');
      expect(await step(1)).toMatchObject({ kind: 'answered' });
    },
  );
});

describe('a run that is opened again by a build with another budget', () => {
  it('keeps the one that it was opened with, which the ledger holds it to', async () => {
    const { runKey } = await open();
    const registry = await createAgentRegistry([clerk(20)]);
    const input = { v: 1, tenant: TENANT, rootKey: runKey, runKey, agent: 'clerk' } as const;
    expect(await openRun({ ...deps, registry }, input)).toMatchObject({
      agent: { budget: { turns: 10 } },
    });
  });
});
