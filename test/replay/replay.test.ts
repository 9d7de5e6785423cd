// Histories of yesterday on the code of today; and that a changed order of commands is really noticed.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { ReplayFailedError, replayHistories } from 'pawl/testing';
import { guarantee } from '../guarantee.ts';

const root = join(import.meta.dirname, '../..');
const folder = join(import.meta.dirname, 'histories');
const workflowsPath = join(root, 'test/workflow/fixtures/plain-workflows.ts');
const changedPath = join(import.meta.dirname, 'changed-workflows.ts');

const RECORDED = [
  'approval-waiting.bin',
  'approvals.bin',
  'cancel-effect.bin',
  'cancel-model-call.bin',
  'continued-1.bin',
  'continued-2.bin',
  'effect-doubt-settled.bin',
  'effect-payment.bin',
  'local-tool.bin',
  'pause-resume.bin',
  'payments.bin',
  'stuck-resumed-1.bin',
  'stuck-resumed-2.bin',
];

async function failureOf(replaying: Promise<unknown>): Promise<ReplayFailedError> {
  const error: unknown = await replaying.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ReplayFailedError) return error;
  throw new Error(`a ReplayFailedError was expected, not ${String(error)}`);
}

describe('recorded histories', () => {
  guarantee(
    'replay-stable',
    'every recorded behaviour → replays on the code of today',
    async () => {
      const replayed = await replayHistories(folder, { workflowsPath });
      expect(replayed).toEqual((await readdir(folder)).sort());
      expect(replayed).toEqual(expect.arrayContaining(RECORDED));
    },
  );

  it('a workflow that waits first, one that swaps two calls → a determinism error for every history of them', async () => {
    const failure = await failureOf(replayHistories(folder, { workflowsPath: changedPath }));
    const broken = failure.failures.map(({ name }) => name).sort();
    const unchanged = 'effect-doubt-settled.bin';
    expect(broken).toEqual((await readdir(folder)).sort().filter((name) => name !== unchanged));
    for (const { error } of failure.failures) {
      expect(error.name).toBe('DeterminismViolationError');
      expect(error.message).toContain('Nondeterminism');
    }
    expect(failure.message).toContain('payments.bin: DeterminismViolationError');
  });

  it('the order of two effects → named by the activity that was expected', async () => {
    const files = [join(folder, 'effect-payment.bin')];
    const { failures } = await failureOf(replayHistories(files, { workflowsPath: changedPath }));
    expect(failures[0]?.error.message).toMatch(/tool\.look_up.*tool\.pay|tool\.pay.*tool\.look_up/);
  });

  it('no host name and no path of a machine in the recorded files', async () => {
    for (const name of await readdir(folder)) {
      const text = (await readFile(join(folder, name))).toString('latin1');
      expect(text).not.toMatch(/\d+@[a-z]+\b|node_modules|\.ts:\d+/);
    }
  });

  it('`pawl replay` in a process of its own → the same answer for a binary history', async () => {
    const args = ['--import', 'tsx', '--conditions=pawl-source', '--no-warnings'];
    const file = join(folder, 'payments.bin');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...args, 'client/cli/main.ts', 'replay', file],
      { cwd: root },
    );
    expect(stdout).toContain('payments.bin');
    expect(stdout).toContain('ok');
  });
});

describe('replayHistories', () => {
  it('an empty folder → an error, not a vacuous success', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'pawl-no-histories-'));
    try {
      await expect(replayHistories(empty)).rejects.toThrow(`no history to replay in ${empty}`);
      const broken = join(empty, 'broken.bin');
      await writeFile(broken, 'not a history');
      await expect(replayHistories(empty)).rejects.toThrow(
        `${broken} is not a history as binary protobuf`,
      );
    } finally {
      await rm(empty, { recursive: true });
    }
  });

  it("protobufjs's `type must be a Type` → says why and what to do", () => {
    const error = new TypeError('type must be a Type');
    const failure = new ReplayFailedError([{ name: 'old.json', error }], 1);
    expect(failure.message).toContain('1 of 1 histories do not replay');
    expect(failure.message).toContain('Several copies of protobufjs are installed');
    expect(failure.message).toContain('.bin');
  });
});
