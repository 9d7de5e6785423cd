// Builds of tomorrow: copies of workflows/ and domain/ with another `decide`, behind a rules version or bare.
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleForReplay } from '../../client/replay/replay-all.ts';
import type { Bundle } from '../../client/replay/replayer.ts';

const root = join(import.meta.dirname, '../..');

interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What the new build does otherwise: effects of one answer go in one activity, where each had its own. */
const together = (isOld: string): Edit => ({
  file: 'domain/rules/decide.ts',
  from: 'calls: first.parallel ? leadingParallel(open) : [first]',
  to: `calls: first.parallel || !(${isOld}) ? open : [first]`,
});

/** The version is chosen once, at the start of each execution, by a marker in its history. */
const ladder = (isNew: string): readonly Edit[] => [
  {
    file: 'workflows/agent-run.ts',
    from: 'startRun(input, Date.now())',
    to: `{ ...startRun(input, Date.now()), rules: (${isNew} ? 2 : 1) as 1 }`,
  },
  { file: 'workflows/agent-run.ts', from: 'import {\n', to: 'import {\n  patched,\n' },
  {
    file: 'domain/rules/decide.ts',
    from: 'state.rules === 1',
    to: '[1, 2].includes(state.rules)',
  },
];

/** A change of `decide` that only runs of `rules: 2` follow. */
export const behindRules: readonly Edit[] = [
  ...ladder("patched('rules-2')"),
  together('(state.rules as number) < 2'),
];
/** The version without the marker: a run in flight would change its rules. */
export const unmarkedRules: readonly Edit[] = [
  ...ladder('true'),
  together('(state.rules as number) < 2'),
];
/** The same change for every run: what must not ship. */
export const bare: readonly Edit[] = [together('false')];

/** Bundles a copy of the workflows of today with these edits. Throws when one of them finds nothing to change. */
export async function bundleWith(edits: readonly Edit[]): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), 'pawl-planted-'));
  try {
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (const room of ['workflows', 'domain']) {
      await cp(join(root, room), join(folder, room), { recursive: true });
    }
    for (const { file, from, to } of edits) {
      const path = join(folder, file);
      const text = await readFile(path, 'utf8');
      if (!text.includes(from)) throw new Error(`${file} no longer says: ${from}`);
      await writeFile(path, text.replace(from, to));
    }
    return await bundleForReplay(join(folder, 'workflows/index.ts'));
  } finally {
    await rm(folder, { recursive: true });
  }
}
