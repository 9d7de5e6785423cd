// The worker of the task with effect().
import { fileURLToPath } from 'node:url';
import { createWorker } from 'pawl/workers';
import { payTask } from './tools.ts';

const worker = await createWorker({
  tools: [payTask],
  workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
});
process.stdout.write('ready\n');
await worker.run();
