// The process behind `pawl build-bundle`: workflow code into one file, for PAWL_WORKFLOW_BUNDLE.
import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { DefaultLogger } from '@temporalio/worker';
import { bundleWorkflows, defaultWorkflowsPath, writeBundle } from './workflow-bundle.ts';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    workflows: { type: 'string', default: defaultWorkflowsPath() },
    encrypted: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const { out = 'workflows.bundle.js', workflows, encrypted, json } = values;
  const logger = new DefaultLogger('ERROR');
  await writeBundle(await bundleWorkflows(workflows, { logger, encrypted }), out);
  const { size } = await stat(out);
  const text = `${out}: ${Math.round(size / 1_024)} KiB, source map included, from ${workflows}`;
  process.stdout.write(`${json ? JSON.stringify({ file: out, bytes: size, workflows }) : text}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
