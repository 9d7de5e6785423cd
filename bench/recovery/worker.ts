// The worker module of the recovery benchmark, as a user would write it.
import { createWorker } from 'pawl/workers';
import { LOCAL_TOOL, recoveryAgents } from './agents.ts';

const local = process.env[LOCAL_TOOL] === 'yes';
const worker = await createWorker({
  agents: recoveryAgents(process.env['BANK_URL'] ?? '', { local }),
});
process.stdout.write('ready\n');
await worker.run();
