// The worker of the order workflow: `createWorker` instead of `Worker.create`, and the tool beside the activities.

// region worker
import { fileURLToPath } from 'node:url';
import { createWorker } from 'pawl/workers';
import * as activities from './activities.ts';
import { refund } from './tools.ts';

const worker = await createWorker({
  workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
  activities,
  tools: [refund],
});
// endregion
process.stdout.write('ready\n');
await worker.run();
