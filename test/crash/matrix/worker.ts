// A worker process of the matrix: is ready before it is needed, polls the queues that it is ordered to, dies as ordered.
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflows, createWorker, type PawlWorker, readWorkerConfig } from 'pawl/workers';
import { asking } from './agents.ts';
import { type Order, ORDERS } from './order.ts';
import { arm, pass } from './places.ts';
import { tools } from './tools.ts';

const bundleFile = process.env['CRASH_BUNDLE'] ?? '';
const folder = process.env[ORDERS] ?? '';
const LOOK_EVERY_MS = 30;

// A run that is killed leaves no workers behind.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && process.exit(1), 1_000).unref();

/** Made once per world: bundling takes longer than all the rest of a worker's start. */
async function ensureBundle(): Promise<void> {
  if (existsSync(bundleFile)) return;
  const path = fileURLToPath(new URL('../fixtures/workflows.ts', import.meta.url));
  const { code } = await bundleWorkflows(path);
  const draft = `${bundleFile}.${process.pid}`;
  writeFileSync(draft, code);
  renameSync(draft, bundleFile);
}

function createOn({ taskQueue, reconcileEveryMs }: Order): Promise<PawlWorker> {
  const config = readWorkerConfig();
  return createWorker({
    agents: [asking],
    tools,
    workflowBundle: { codePath: bundleFile },
    config: { ...config, taskQueue, identity: `${config.identity} ${taskQueue}` },
    reconcileEveryMs,
    crash: pass,
    shutdownGraceTime: '1s',
  });
}

async function carryOut(file: string): Promise<void> {
  const order = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Order;
  arm(order.blows);
  const worker = await createOn(order);
  const running = worker.run();
  const end = join(folder, file.replace('.json', '.end'));
  while (!existsSync(end)) await sleep(LOOK_EVERY_MS * 5);
  worker.shutdown();
  await running;
}

await ensureBundle();
process.stdout.write('ready\n');
const taken = new Set<string>();
for (;;) {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json') && !taken.has(name));
  for (const file of files) {
    taken.add(file);
    carryOut(file).catch((error: unknown) => {
      process.stderr.write(`${String(error instanceof Error ? error.stack : error)}\n`);
      process.exit(1);
    });
  }
  await sleep(LOOK_EVERY_MS);
}
