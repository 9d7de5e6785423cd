// The worker process of the example: `node --import tsx worker.ts`. Everything else comes from the environment.
import { createWorker } from 'pawl/workers';
import { payouts } from './agent.ts';

const worker = await createWorker({ agents: [payouts] });
process.stdout.write('ready\n');
await worker.run();
