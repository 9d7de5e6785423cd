// A long session whose workers are killed: nothing said is lost, answered twice or answered out of order.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { PawlClient } from '../../client/index.ts';
import type { ModelScript, NeutralRequest } from '../../devstack/receivers/index.ts';
import { seededRandom } from '../../devstack/contrast/plan.ts';
import type { TemporalServer } from '../../devstack/servers/temporal-server.ts';
import type { WorkerProcess } from '../../devstack/worker-process.ts';
import { guarantee } from '../guarantee.ts';
import { startRenewingTemporal } from '../renewing-temporal.ts';
import { createWorld, type World } from './fixtures/world.ts';

const IS_FULL = process.env['PAWL_SESSION_FULL'] === '1';
/** `PAWL_SESSION_FULL=1 npm run -s jest -- test/crash/session.test.ts` is the full form: some 11,000 events. */
const { messages, kills, executions, suggestAtEvents } = IS_FULL
  ? { messages: 1_000, kills: 20, executions: 4, suggestAtEvents: 2_500 }
  : { messages: 40, kills: 2, executions: 3, suggestAtEvents: 150 };
const seed = Number(process.env['PAWL_SEED'] ?? Date.now() % 1_000_000);
const QUEUE = 'session';

let server: TemporalServer;
let world: World;

beforeAll(async () => {
  server = await startRenewingTemporal(suggestAtEvents);
  world = await createWorld({ script: echo, temporalAddress: server.address });
}, 180_000);
afterAll(async () => {
  await world.close();
  await server.stop();
});

function saidIn(request: NeutralRequest): string[] {
  return request.messages
    .filter(({ role }) => role === 'user')
    .flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])))
    .filter((text) => text.startsWith('word '));
}

/** Answers with the last word that it was shown. */
const echo: ModelScript = (request) => ({ text: `re: ${saidIn(request).at(-1) ?? ''}` });

/** Kills the worker at moments of its own choosing while `talk` goes on; a manager outside starts the next one. */
async function underKills<T>(
  first: WorkerProcess,
  talk: () => Promise<T>,
): Promise<{ value: T; killed: number }> {
  const random = seededRandom(seed);
  let isOver = false;
  let killed = 0;
  let worker = first;
  const killing = (async () => {
    while (!isOver) {
      const before = world.provider.requests().length;
      const wait = Math.ceil((messages / (kills + 1)) * (0.5 + random()));
      while (!isOver && world.provider.requests().length < before + wait) {
        await sleep(5);
      }
      if (isOver || killed >= kills) continue;
      // In any phase of a turn, which takes some ten milliseconds.
      await sleep(60 * random());
      await worker.kill();
      killed += 1;
      worker = await world.startWorker({ taskQueue: QUEUE });
    }
  })();
  const value = await talk().finally(() => (isOver = true));
  await killing;
  return { value, killed };
}

describe('a session', () => {
  guarantee(
    ['session-in-order', 'S1-07'],
    `${messages} messages, ${kills} kills, ${executions} executions (seed ${seed}) → each answered once, in order`,
    async () => {
      const client = await PawlClient.connect({
        temporalAddress: server.address,
        databaseUrl: world.databaseUrl,
        taskQueue: QUEUE,
      });
      const worker = await world.startWorker({ taskQueue: QUEUE });
      const words = Array.from({ length: messages }, (_, at) => `word ${at}`);
      const { runKey } = await client.start('talker', 'hello', { session: true });
      const { value: answers, killed } = await underKills(worker, async () => {
        const heard: string[] = [];
        for (const word of words) {
          const { messageId } = await client.say(runKey, word);
          heard.push((await client.reply(runKey, { messageId })).text);
        }
        await client.endSession(runKey);
        expect((await client.result(runKey)).result?.kind).toBe('completed');
        return heard;
      });
      expect(killed).toBeGreaterThanOrEqual(kills - 1);
      expect(answers).toEqual(words.map((word) => `re: ${word}`));
      const { transcript = [] } = await client.show(runKey, { transcript: true });
      const said = transcript.filter(({ source }) => source.startsWith('steer:'));
      expect(said.map(({ parts }) => (parts as { text: string }[])[0]?.text)).toEqual(words);
      const { count } = await world.temporal.workflow.count(`WorkflowId = '${runKey}'`);
      expect(count).toBeGreaterThanOrEqual(executions);
      await client.close();
    },
    IS_FULL ? 1_800_000 : 300_000,
  );
});
