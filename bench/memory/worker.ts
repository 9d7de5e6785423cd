// The worker module whose memory is measured; told to, it keeps what it has seen: the planted leak.
import { type Agent, defineAgent, defineTool } from 'pawl';
import { createWorker } from 'pawl/workers';
import { z } from 'zod';
import { transferTool } from '../transfer-tool.ts';
import type { ToWorker } from './worker-process.ts';

const parent = process.ppid;
// A benchmark that is killed leaves no worker behind.
setInterval(() => process.ppid !== parent && process.exit(1), 1_000).unref();

const RESULT_CHARS = 1_024;
const leakedChars = Number(process.env['MEMORY_LEAKED_CHARS']);
const kept: string[] = [];
let leaks = false;
process.on('message', ({ kind }: ToWorker) => (leaks ||= kind === 'leak'));
// Nothing is to be waited for: the worker ends with its parent.
process.channel?.unref();

const note = defineTool({
  name: 'note',
  description: 'Notes a line.',
  input: z.object({ line: z.string() }),
  output: z.object({ text: z.string() }),
  effect: 'read',
  run: ({ line }) => {
    const text = line.padEnd(RESULT_CHARS, '.');
    // Flat and its own: a repeated string would be one of the engine's ropes.
    if (leaks) kept.push(Buffer.alloc(leakedChars, text).toString('latin1'));
    return Promise.resolve({ text });
  },
});

const transfer = transferTool(process.env['MEMORY_BANK_URL'] ?? '', '.'.repeat(RESULT_CHARS));

const clerk: Agent<{ run: number }, string> = defineAgent({
  name: 'clerk',
  input: z.object({ run: z.number() }),
  instructions: 'Note a line, transfer a cent, and so on.',
  tools: [note, transfer],
  model: { primary: 'anthropic/claude-sonnet-5-5' },
  policy: new URL('../paying-agent.cedar', import.meta.url).pathname,
  budget: { turns: 1_000, usd: '1000.00', repeats: 10 },
});

const worker = await createWorker({ agents: [clerk], maxCachedWorkflows: 40 });
process.stdout.write('ready\n');
await worker.run();
