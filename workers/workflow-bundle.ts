// Where a worker's workflow code comes from: a bundle that was made before, or one that it makes now.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import type { Logger, WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { failureConverterPath } from '../activities/encryption/history-converter.ts';
import { bundleSettings, defaultWorkflowsPath } from './bundle-settings.ts';
import { missingWorkflows } from './bundled-workflows.ts';
import { ConfigInvalid } from './config.ts';

export { defaultWorkflowsPath };

export type WorkflowBundle = WorkflowBundleWithSourceMap | { readonly codePath: string };

export interface BundleRequest {
  readonly workflowBundle?: WorkflowBundle;
  readonly workflowsPath?: string;
  /** `PAWL_WORKFLOW_BUNDLE`. */
  readonly bundleFile: string | undefined;
  /** Where the workers of one supervisor keep the bundle that the first of them made. */
  readonly sharedFolder: string | undefined;
  /** Failures of workflows carry no plain words. @default false */
  readonly encrypted?: boolean;
}

/** The bundle that the code or the environment names, that a sibling has made, or a new one. Throws `ConfigInvalid`. */
export async function findWorkflowBundle(request: BundleRequest): Promise<WorkflowBundle> {
  const found = await findBundle(request);
  if (isOwn(request)) checkWorkflows(await codeOf(found));
  if (request.encrypted && !(await codeOf(found)).includes(FAILURES_ENCRYPTED)) {
    throw new ConfigInvalid(
      'PAWL_ENCRYPTION_KEYS is set, and the workflow bundle was made without: failures of workflows would stand in the ' +
        'clear. Make it with `pawl build-bundle --encrypted`, or `bundleWorkflows(path, { encrypted: true })`.',
    );
  }
  return found;
}

/** Not Pawl's workflows alone, or not made here. */
function isOwn({ workflowBundle, workflowsPath, bundleFile }: BundleRequest): boolean {
  return workflowBundle !== undefined || workflowsPath !== undefined || bundleFile !== undefined;
}

function checkWorkflows(code: string): void {
  const missing = missingWorkflows(code);
  if (missing.length === 0) return;
  throw new ConfigInvalid(
    `The workflows of this worker do not have Pawl's: ${missing.join(', ')} not found. Write \`export * from 'pawl/workflows';\` ` +
      'in the module that `workflowsPath` (or the bundle) was made from. Without them no run begins, and no sweep looks ' +
      'after effects.',
  );
}

/** `FAILURES_ENCRYPTED` of workflows/failure-converter.ts, which only the sandbox loads. */
const FAILURES_ENCRYPTED = 'pawl:failures-encrypted';

function codeOf(bundle: WorkflowBundle): Promise<string> {
  return 'code' in bundle ? Promise.resolve(bundle.code) : readFile(bundle.codePath, 'utf8');
}

async function findBundle(request: BundleRequest): Promise<WorkflowBundle> {
  const { workflowBundle, workflowsPath = defaultWorkflowsPath(), encrypted = false } = request;
  if (workflowBundle) return workflowBundle;
  if (request.bundleFile !== undefined) return checkBundleFile(request.bundleFile);
  const make = (): Promise<WorkflowBundleWithSourceMap> =>
    bundleWorkflows(workflowsPath, { encrypted });
  if (request.sharedFolder === undefined) return make();
  const content = JSON.stringify([workflowsPath, encrypted]);
  const name = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const codePath = join(request.sharedFolder, `${name}.js`);
  if (!existsSync(codePath)) await writeBundle(await make(), codePath);
  return { codePath };
}

export interface BundleOptions {
  readonly logger?: Logger;
  /** For workers with PAWL_ENCRYPTION_KEYS: failures of workflows carry no plain words. @default false */
  readonly encrypted?: boolean;
}

/** Bundles Pawl's workflows (or your own module that exports them too) for a production image. */
export function bundleWorkflows(
  workflowsPath: string = defaultWorkflowsPath(),
  { logger, encrypted = false }: BundleOptions = {},
): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({
    ...bundleSettings(workflowsPath),
    ...(logger ? { logger } : {}),
    ...(encrypted ? { failureConverterPath: failureConverterPath() } : {}),
  });
}

const MARK = '//# pawlBundle=';
const SOURCE_MAP = '//# sourceMappingURL=';

/** Writes a bundle with the version of the SDK whose workflow code is in it; whole, or not at all. */
export async function writeBundle({ code }: { code: string }, file: string): Promise<void> {
  const mark = `${MARK}${JSON.stringify({ sdk: sdkVersion() })}\n`;
  // Before the source map: the SDK takes all that comes after its comment for the map.
  const at = code.lastIndexOf(SOURCE_MAP);
  const marked = at < 0 ? `${code}\n${mark}` : `${code.slice(0, at)}${mark}${code.slice(at)}`;
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, marked);
  await rename(draft, file);
}

/** A bundle holds the SDK's workflow half: the other half, in this process, must be of the same version. */
async function checkBundleFile(codePath: string): Promise<WorkflowBundle> {
  const remedy = 'make it with `pawl build-bundle`, in the step that builds the worker';
  const code = await readFile(codePath, 'utf8').catch((error: unknown) => {
    throw new ConfigInvalid(
      `PAWL_WORKFLOW_BUNDLE names ${codePath}, which cannot be read: ${String(error)}. Or ${remedy}.`,
    );
  });
  const [, mark = ''] = code.split(`\n${MARK}`);
  const made = /^\{"sdk":"([^"]+)"\}/.exec(mark)?.[1];
  if (made === sdkVersion()) return { codePath };
  throw new ConfigInvalid(
    `PAWL_WORKFLOW_BUNDLE names ${codePath}, which was made with @temporalio/workflow ${made ?? 'of an unknown version'}; ` +
      `this worker has ${sdkVersion()}: ${remedy}.`,
  );
}

function sdkVersion(): string {
  const require = createRequire(import.meta.url);
  const { version } = require('@temporalio/workflow/package.json') as { version: string };
  return version;
}
