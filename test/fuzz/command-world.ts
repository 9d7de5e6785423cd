// The world of generated command lines: a database with a run in each state that commands ask about, and a Temporal.
import { join } from 'node:path';
import { testTemporalAddress } from '../../devstack/test-database.ts';
import { startTestServers, stopTestServers } from '../../devstack/test-servers.ts';
import {
  createClientDatabase,
  insertApproval,
  insertEffect,
  insertRun,
  insertWorker,
  resultOf,
} from '../contract/client-fixtures.ts';
import { type CommandReport, type CommandWorld, fuzzCommandLines } from './command-lines.ts';

/** Needs the test servers; `drop` takes its database away. */
export async function createCommandWorld(): Promise<CommandWorld & { drop(): Promise<void> }> {
  const database = await createClientDatabase();
  await insertWorker(database);
  const result = resultOf('completed');
  const ended = await insertRun(database, { turn: 1, isFinished: true, result });
  const open = await insertRun(database, { turn: 1 });
  const doubt = await insertEffect(database, open, { status: 'in_doubt' });
  const asked = await insertEffect(database, open, { call: '1', status: 'intended' });
  const approval = await insertApproval(database, open, asked);
  return {
    databaseUrl: database.url,
    temporalAddress: testTemporalAddress(),
    known: {
      ...{ run: [ended, open, open.slice(-8)], effect: [doubt.effect, asked.effect] },
      ...{ approval: [approval], agent: ['payouts'], tool: ['pay_invoice'] },
      ...{ input: ['{"file":"a.csv"}'], outcome: ['applied'] },
    },
    drop: () => database.drop(),
  };
}

/** For `npm run fuzz`: with servers of its own, which end with it. */
export async function fuzzCommands(run: {
  readonly seed: number;
  readonly cases: number;
  readonly onProgress?: (done: number) => void;
}): Promise<CommandReport> {
  await startTestServers(join(import.meta.dirname, '../..'));
  try {
    const world = await createCommandWorld();
    return await fuzzCommandLines(world, run).finally(() => world.drop());
  } finally {
    await stopTestServers();
  }
}
