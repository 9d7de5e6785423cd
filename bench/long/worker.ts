// The worker module of the long run, killed at random points.
import { createWorker } from 'pawl/workers';
import { longAgents } from './agents.ts';

const parent = process.ppid;
// A benchmark that is killed leaves no worker behind.
setInterval(() => process.ppid !== parent && process.exit(1), 1_000).unref();

const resultBytes = Number(process.env['LONG_RESULT_BYTES']);
const worker = await createWorker({
  agents: longAgents(process.env['BANK_URL'] ?? '', resultBytes),
});
process.stdout.write('ready\n');
await worker.run();
