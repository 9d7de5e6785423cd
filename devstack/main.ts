// `pawl dev`: Temporal, PostgreSQL and, if asked, your worker; stays up until Ctrl-C and leaves nothing behind.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runsPage } from '../client/cli/temporal-ui.ts';
import { resolveDataDir } from './data-dir.ts';
import { errorText, ServerError } from './servers/server-error.ts';
import type { ServerProgress } from './servers/server-progress.ts';
import { openStack, type Stack } from './stack.ts';
import { startWorkerProcess } from './worker-process.ts';

const USAGE = `pawl dev [--worker FILE] [--database NAME] [--json]

Starts Temporal and PostgreSQL for development (or adopts the ones of an earlier start), migrates the ledger and stays up.
  --worker FILE     also runs your worker module, and starts it again when it dies; it prints "ready" when it polls
  --database NAME   the ledger's database (default: pawl)
  --json            one JSON line when everything is up
TEMPORAL_ADDRESS and DATABASE_URL are used where they are set; nothing is started for them then.`;

/** The pause before a worker that died is started again. */
const RESTART_PAUSE_MS = 1_000;

const { values: options } = parseArgs({
  options: {
    worker: { type: 'string' },
    database: { type: 'string', default: 'pawl' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const stopping = new AbortController();
const dataDir = resolveDataDir();

async function main(): Promise<void> {
  if (options.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const { signal } = stopping;
  const stack = await openStack({ dataDir, database: options.database, signal, onProgress });
  try {
    announce(stack);
    const worker = options.worker ? keepWorker(stack, resolve(options.worker)) : undefined;
    const died = [aborted(signal), stack.servers.died, ...(worker ? [worker] : [])];
    const death = await Promise.race(died);
    stopping.abort();
    await worker;
    if (death) throw new ServerError('not-serving', death.message);
  } finally {
    await stack.stop();
  }
}

function onProgress({ server, message, elapsedSeconds }: ServerProgress): void {
  const elapsed = elapsedSeconds ? ` (${elapsedSeconds} s)` : '';
  process.stderr.write(`${server}: ${message}${elapsed}\n`);
}

function announce({ temporalAddress, uiUrl, workerUrl }: Stack): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ temporalAddress, uiUrl, dataDir })}\n`);
    return;
  }
  process.stdout.write(
    [
      `Temporal   ${temporalAddress}`,
      `UI         ${uiUrl === undefined ? 'none' : runsPage(uiUrl)}`,
      `Ledger     ${workerUrl.replace(/:[^:@/]+@/, ':***@')}`,
      `Stack file ${join(dataDir, 'stack.json')} (the pawl CLI finds it by itself)`,
      'Ctrl-C stops it; runs go on at the next start.',
      '',
    ].join('\n'),
  );
}

/** Runs the worker and starts it again until the stack stops. */
async function keepWorker(stack: Stack, file: string): Promise<void> {
  const { signal } = stopping;
  for (let count = 1; !signal.aborted; count += 1) {
    const worker = await startWorkerProcess({
      file,
      name: 'worker',
      dataDir,
      logFile: join(dataDir, 'worker.log'),
      env: {
        TEMPORAL_ADDRESS: stack.temporalAddress,
        DATABASE_URL: stack.workerUrl,
        PAWL_MIGRATE: 'no',
        PAWL_EGRESS_PRIVATE: process.env['PAWL_EGRESS_PRIVATE'] ?? 'allow',
      },
    });
    process.stderr.write(
      `worker: polling (pid ${worker.pid}${count > 1 ? `, start ${count}` : ''})\n`,
    );
    const stop = (): void => void worker.stop();
    signal.addEventListener('abort', stop, { once: true });
    const { code, signal: by } = await worker.gone;
    signal.removeEventListener('abort', stop);
    if (signal.aborted) return;
    process.stderr.write(`worker: ended (${by ?? `exit ${code}`}), starting again\n`);
    await Promise.race([
      aborted(signal),
      new Promise((done) => setTimeout(done, RESTART_PAUSE_MS)),
    ]);
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolveAborted) => {
    if (signal.aborted) resolveAborted(undefined);
    signal.addEventListener('abort', () => resolveAborted(undefined), { once: true });
  });
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => stopping.abort());
}

try {
  await main();
} catch (error) {
  if (stopping.signal.aborted && !(error instanceof ServerError)) process.exitCode = 130;
  else {
    process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = 1;
  }
}
