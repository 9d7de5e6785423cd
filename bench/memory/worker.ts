// The worker module whose memory is measured; told to, it keeps what it has seen: the planted leak.
import { type Agent, defineAgent, defineTool } from 'pawl';
import { createWorker } from 'pawl/workers';
import { z } from 'zod';

const parent = process.ppid;
// A benchmark that is killed leaves no worker behind.
setInterval(() => process.ppid !== parent && process.exit(1), 1_000).unref();

const RESULT_BYTES = 1_024;
/** A step, and so about 200 KB a run of 50 steps: what its transcript is. */
const LEAKED_BYTES = 8_192;
const kept: Buffer[] = [];
const leaks = process.env['MEMORY_LEAK'] === '1';

/** A context window that is never given back. */
function keep(text: string): void {
  kept.push(Buffer.alloc(LEAKED_BYTES, text));
}

const note = defineTool({
  name: 'note',
  description: 'Notes a line.',
  input: z.object({ line: z.string() }),
  output: z.object({ text: z.string() }),
  effect: 'read',
  run: ({ line }) => {
    const text = line.padEnd(RESULT_BYTES, '.');
    if (leaks) keep(text);
    return Promise.resolve({ text });
  },
});

const writer: Agent<{ steps: number }, string> = defineAgent({
  name: 'writer',
  input: z.object({ steps: z.number() }),
  instructions: 'Note a line a step.',
  tools: [note],
  model: { primary: 'anthropic/claude-sonnet-5-5' },
  budget: { turns: 1_000, usd: '1000.00', repeats: 10 },
});

const worker = await createWorker({ agents: [writer], maxCachedWorkflows: 40 });
process.stdout.write('ready\n');
await worker.run();
