// A worker whose workflows are not Pawl's: it would take tasks, and neither run nor sweep would ever begin.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bundleWorkflows, findWorkflowBundle } from '../../workers/workflow-bundle.ts';

const TEST_MS = 60_000;
const silent = {
  ...{ trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  log: () => {},
};
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(import.meta.dirname, 'fixtures', 'workflows-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function bundleOf(source: string): Promise<{ code: string; sourceMap: string }> {
  const path = join(folder, `own-${source.length}.ts`);
  await writeFile(path, source);
  return bundleWorkflows(path, { logger: silent });
}

const find = (workflowBundle: { code: string; sourceMap: string }): Promise<unknown> =>
  findWorkflowBundle({ workflowBundle, bundleFile: undefined, sharedFolder: undefined });

describe('a bundle of own workflows', () => {
  it(
    "without Pawl's → refused with a sentence that names them and what to write",
    async () => {
      const bundle = await bundleOf('export async function mine(): Promise<void> {}\n');
      await expect(find(bundle)).rejects.toThrow(
        /agentRun, pawlReconciler, pawlCompensate not found.*export \* from 'pawl\/workflows'/s,
      );
    },
    TEST_MS,
  );

  it(
    'with them → taken',
    async () => {
      const bundle = await bundleOf(
        "export * from '../../../../workflows/index.ts';\nexport async function mine(): Promise<void> {}\n",
      );
      await expect(find(bundle)).resolves.toBe(bundle);
    },
    TEST_MS,
  );
});
