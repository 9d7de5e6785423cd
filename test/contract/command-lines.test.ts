// Every command over generated argument lists, in this process, on a real database and a real Temporal.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createProgram } from '../../client/cli/program.ts';
import { testTemporalAddress } from '../../devstack/test-database.ts';
import { type CommandWorld, fuzzCommandLines, leavesOf } from '../fuzz/command-lines.ts';
import { guarantee } from '../guarantee.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import { propertySeed } from '../unit/support-properties.ts';
import {
  type ClientDatabase,
  createClientDatabase,
  insertApproval,
  insertEffect,
  insertRun,
  insertWorker,
  resultOf,
} from './client-fixtures.ts';

const CASES = Number(process.env['PAWL_FUZZ_CASES'] ?? 120);

let database: ClientDatabase;
let world: CommandWorld;

beforeAll(async () => {
  database = await createClientDatabase();
  await insertWorker(database);
  const ended = await insertRun(database, {
    turn: 1,
    isFinished: true,
    result: resultOf('completed'),
  });
  const open = await insertRun(database, { turn: 1 });
  const doubt = await insertEffect(database, open, { status: 'in_doubt' });
  const asked = await insertEffect(database, open, { call: '1', status: 'intended' });
  const approval = await insertApproval(database, open, asked);
  world = {
    databaseUrl: database.url,
    temporalAddress: testTemporalAddress(),
    known: {
      ...{ run: [ended, open, open.slice(-8)], effect: [doubt.effect, asked.effect] },
      ...{ approval: [approval], agent: ['payouts'], tool: ['pay_invoice'] },
      ...{ input: ['{"file":"a.csv"}'], outcome: ['applied'] },
    },
  };
});
afterAll(() => database.drop());

it('the fuzzer knows every command that is run in this process', () => {
  const program = createProgram(createFakeIo(), () => undefined);
  expect(leavesOf(program).length).toBeGreaterThan(24);
});

guarantee(
  'typed-lines',
  'generated lines of every command → an exit code of the table, no stack trace, no raw code, nothing hangs',
  async () => {
    const report = await fuzzCommandLines(world, { seed: propertySeed, cases: CASES });
    expect([`PAWL_TEST_SEED=${propertySeed}`, report.examples]).toEqual([expect.anything(), []]);

    expect(report.violations).toEqual({ crashed: 0, raw: 0, hung: 0, exit: 0 });
    // Not all lines may end at commander: some reach the servers and do something.
    expect(report.counts['exit 0']).toBeGreaterThan(0);
    expect(report.counts['exit 2']).toBeGreaterThan(0);
  },
  600_000,
);
