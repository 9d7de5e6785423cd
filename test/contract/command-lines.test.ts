// Every command over generated argument lists, in this process, on a real database and a real Temporal.
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createProgram } from '../../client/cli/program.ts';
import { fuzzCommandLines, leavesOf } from '../fuzz/command-lines.ts';
import { createCommandWorld } from '../fuzz/command-world.ts';
import { guarantee } from '../guarantee.ts';
import { createFakeIo } from '../unit/cli-fake-io.ts';
import { propertySeed } from '../unit/support-properties.ts';

const CASES = Number(process.env['PAWL_FUZZ_CASES'] ?? 120);

let world: Awaited<ReturnType<typeof createCommandWorld>>;

beforeAll(async () => {
  world = await createCommandWorld();
});
afterAll(() => world.drop());

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
