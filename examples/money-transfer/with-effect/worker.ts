// The worker with the three tools.
import { fileURLToPath } from 'node:url';
import { createWorker } from 'pawl/workers';
import * as tools from './tools.ts';

const worker = await createWorker({
  tools: Object.values(tools),
  workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
});
process.stdout.write('ready\n');
await worker.run();
