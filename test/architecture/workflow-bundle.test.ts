// The workflow bundle as a worker builds it: what it may reach, transitively, and how large it may be.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { guarantee } from '../guarantee.ts';
import { type Bundle, bundle } from './bundle.ts';

const root = path.join(import.meta.dirname, '../..');
const SIZE_MAX_BYTES = 3 * 1024 * 1024;
// A new name here is new code in every user's sandbox: decide, then add it.
const allowedPackages = ['@temporalio/common', '@temporalio/workflow', 'long', 'ms', 'nexus-rpc'];
const allowedRooms = ['domain/rules/', 'workflows/'];

let folder = '';
beforeAll(async () => {
  // Inside the tree, so that packages resolve; ignored by git.
  await mkdir(path.join(root, '.pawl'), { recursive: true });
  folder = await mkdtemp(path.join(root, '.pawl/bundle-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function bundleOf(code: string): Promise<Bundle> {
  const file = path.join(folder, 'planted.ts');
  await writeFile(file, code);
  return bundle(file);
}

/** What is reached and may not be: packages, and files of our own that belong to another room. */
function strangers({ packages, files }: Bundle): string[] {
  const rooms = files
    .map((file) => path.relative(root, file))
    .filter((file) => !file.startsWith('.'));
  return [
    ...packages.filter((name) => !allowedPackages.includes(name)),
    ...rooms.filter((file) => !allowedRooms.some((room) => file.startsWith(room))),
  ];
}

describe('the workflow bundle', () => {
  guarantee(
    'determinism-bundle',
    'our workflows → only rules, workflows and the listed packages',
    async () => {
      const built = await bundle(path.join(root, 'workflows/index.ts'));
      expect(strangers(built)).toEqual([]);
      expect(built.files).toContain(path.join(root, 'workflows/agent-run.ts'));
      expect(built.packages).toContain('@temporalio/workflow');
      expect(built.bytes).toBeGreaterThan(100_000);
      expect(built.bytes).toBeLessThan(SIZE_MAX_BYTES);
    },
  );

  guarantee.each('determinism-bundle', [
    ['node:crypto', /Reading from "node:crypto" is not handled/],
    ['crypto', /disallowed modules:\n\s+- 'crypto'/],
    ['@temporalio/client', /disallowed modules:\n\s+- '@temporalio\/client'/],
  ])('a workflow that imports %s → refused by name', async (name, message) => {
    const built = bundleOf(`import * as all from '${name}';\nexport const run = () => all;`);
    await expect(built).rejects.toThrow(message);
  });

  guarantee('determinism-bundle', 'activities by value → refused for what they reach', async () => {
    const activities = JSON.stringify(path.join(root, 'activities/index.ts'));
    const code = `import { createActivities } from ${activities};\nexport const run = () => createActivities;`;
    await expect(bundleOf(code)).rejects.toThrow(/Reading from "node:crypto" is not handled/);
  });

  guarantee('determinism-bundle', 'a builtin behind another module → found too', async () => {
    const fingerprint = JSON.stringify(path.join(root, 'activities/effects/fingerprint.ts'));
    const code = `import * as all from ${fingerprint};\nexport const run = () => all;`;
    await expect(bundleOf(code)).rejects.toThrow(/Reading from "node:crypto" is not handled/);
  });

  it('activities by type → nothing of them is reached', async () => {
    const activities = JSON.stringify(path.join(root, 'activities/index.ts'));
    const code = `import type { PawlActivities } from ${activities};\nexport const run = (): PawlActivities | undefined => undefined;`;
    expect(strangers(await bundleOf(code))).toEqual([]);
  });

  it('a package that nobody listed, behind a schema → named', async () => {
    const schema = JSON.stringify(path.join(root, 'domain/schemas/define-agent.ts'));
    const built = await bundleOf(`import * as all from ${schema};\nexport const run = () => all;`);
    expect(strangers(built)).toEqual(
      expect.arrayContaining(['zod', 'domain/schemas/define-agent.ts']),
    );
  });
});
