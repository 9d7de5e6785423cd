// The worker process of the first agent; the environment names its servers and its key.
import { createWorker } from 'pawl/workers';
import { support } from './agent.ts';

const worker = await createWorker({ agents: [support] });
process.stdout.write('ready\n');
await worker.run();
