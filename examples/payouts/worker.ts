// The worker process of the example; everything it needs comes from the environment.
import { createWorker } from 'pawl/workers';
import { createPayouts } from './agent.ts';

const payouts = createPayouts({
  bankUrl: process.env['BANK_URL'] ?? 'http://127.0.0.1:8801',
  mailboxUrl: process.env['MAILBOX_URL'] ?? 'http://127.0.0.1:8802',
});
const worker = await createWorker({ agents: [payouts] });
process.stdout.write('ready\n');
await worker.run();
