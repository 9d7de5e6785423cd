// The worker module of the recovery benchmark, as a user would write it.
import { createWorker } from 'pawl/workers';
import { recoveryAgents } from './agents.ts';

const worker = await createWorker({ agents: recoveryAgents(process.env['BANK_URL'] ?? '') });
process.stdout.write('ready\n');
await worker.run();
