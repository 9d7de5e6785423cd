// The gate before a deploy: a change of `decide` behind a new rules version passes it, the same change bare does not.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ReplayFailedError, replayHistories } from 'pawl/testing';
import { processesFor, replayAll } from '../../client/replay/replay-all.ts';
import { readHistoryFile } from '../../client/replay/history-file.ts';
import { guarantee } from '../guarantee.ts';
import { bare, behindRules, bundleWith, unmarkedRules } from './planted-workflows.ts';

const folder = join(import.meta.dirname, 'histories');

/** The histories of agent runs; plain workflows are not in the planted builds. */
async function recorded(): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('effect-'));
  return names.sort().map((name) => join(folder, name));
}

async function gate(bundle: Awaited<ReturnType<typeof bundleWith>>): Promise<unknown> {
  const workflowBundle = bundle as { code: string; sourceMap: string };
  return replayHistories(await recorded(), { workflowBundle }).catch((error: unknown) => error);
}

describe('a change of decide', () => {
  guarantee(
    'rules-version',
    'behind rules: 2 → histories of rules: 1 replay; bare, or with rules: 2 for all → the gate is red and names the histories',
    async () => {
      expect(await gate(await bundleWith(behindRules))).toHaveLength((await recorded()).length);
      for (const broken of [bare, unmarkedRules]) {
        const failure = await gate(await bundleWith(broken));
        expect(failure).toBeInstanceOf(ReplayFailedError);
        const { failures } = failure as ReplayFailedError;
        const names = failures.map(({ name }) => name);
        // Only where one answer asked for two effects.
        expect(names).toContain('cancel-effect.bin');
        expect(names).not.toContain('approval-waiting.bin');
        for (const { error } of failures) {
          expect(error.name).toBe('DeterminismViolationError');
          expect(error.message).toContain('Nondeterminism');
        }
      }
    },
  );
});

describe('replayAll', () => {
  it('two processes → each history under its own name and in its place, the broken ones with their cause', async () => {
    const files = await recorded();
    const sources = [...files, ...files].map((file) => () => readHistoryFile(folder, file));
    const bundle = await bundleWith(bare);
    const [alone, aside] = [
      await replayAll(sources, { bundle, processes: 1 }),
      await replayAll(sources, { bundle, processes: 2 }),
    ];
    const named = (replayed: typeof alone) =>
      replayed.map(({ name, events, error }) => [name, events, error?.name]);
    expect(named(aside)).toEqual(named(alone));
    expect(aside.map(({ error }) => error?.message)).toEqual(
      alone.map(({ error }) => error?.message),
    );
    expect(aside.some(({ error }) => error)).toBe(true);
  });

  it('a file that is no history among others → its error, from another process, too', async () => {
    const bundle = await bundleWith([]);
    const [good = ''] = await recorded();
    const bytes = new TextEncoder().encode('not a history');
    const broken = { name: 'b', source: 'b.bin', format: 'protobuf', bytes } as const;
    const sources = [() => readHistoryFile(folder, good), () => Promise.resolve(broken)];
    for (const processes of [1, 2]) {
      await expect(replayAll(sources, { bundle, processes })).rejects.toMatchObject({
        code: 'History.Malformed',
        message: expect.stringContaining('b.bin is not a history as binary protobuf') as unknown,
      });
    }
  });

  it('how many processes → none beside this one for a handful, never more than cores', () => {
    expect(processesFor(0, 8)).toBe(1);
    expect(processesFor(19, 8)).toBe(1);
    expect(processesFor(20, 8)).toBe(2);
    expect(processesFor(1_000, 2)).toBe(2);
  });
});
