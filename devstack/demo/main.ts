// `npm start`: an agent pays real invoices, is killed in the middle, waits for a human, and pays each one once.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'csv-parse/sync';
import { packageRoot } from '../../activities/package-root.ts';
import { runPage } from '../../client/cli/temporal-ui.ts';
import { PawlClient } from '../../client/index.ts';
import { resolveDataDir } from '../data-dir.ts';
import { readReceipts } from '../receivers/index.ts';
import { errorText, ServerError } from '../servers/server-error.ts';
import { openStack, type Stack } from '../stack.ts';
import { startWorkerProcess, type WorkerProcess } from '../worker-process.ts';
import { answerApproval } from './answer-approval.ts';
import { type Books, BOOKS_DATABASE, closeBooks, findOpenRun, openBooks } from './books.ts';
import { createLines } from './console-lines.ts';
import { compare, invoiceOf, renderTable } from './receipts-table.ts';
import { type DemoReceivers, INTERRUPTED, startDemoReceivers } from './receivers-of-demo.ts';

const { values: options } = parseArgs({
  options: { yes: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
});
const asks = Boolean(process.stdin.isTTY && process.stdout.isTTY) && !options.yes;
const lines = createLines();
const dataDir = resolveDataDir();
const stopped = new AbortController();

interface Demo {
  readonly stack: Stack;
  readonly receivers: DemoReceivers;
  readonly books: Books;
  readonly client: PawlClient;
}

async function main(): Promise<number> {
  if (options.help) {
    lines.print(
      'npm start [-- --yes]   --yes: approve by itself, end when done, exit 1 when the receipts disagree',
    );
    return 0;
  }
  const stack = await openStack({
    dataDir,
    database: BOOKS_DATABASE,
    signal: stopped.signal,
    onProgress,
  });
  const cleanUps: (() => Promise<unknown>)[] = [() => stack.stop()];
  try {
    const demo = await openDemo(stack, cleanUps);
    const isRight = await runDemo(demo, cleanUps);
    if (asks && !stopped.signal.aborted) await untilInterrupted(stack);
    return isRight ? 0 : 1;
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp().catch(() => undefined);
  }
}

function onProgress({
  server,
  message,
  elapsedSeconds,
}: {
  server: string;
  message: string;
  elapsedSeconds?: number;
}): void {
  const elapsed = elapsedSeconds ? ` (${elapsedSeconds} s)` : '';
  lines.say(`${server}: ${message}${elapsed}`, 'dim');
}

async function openDemo(first: Stack, cleanUps: (() => Promise<unknown>)[]): Promise<Demo> {
  let stack = first;
  let client = await connect(stack);
  const runs = await client.list({ limit: 1 });
  if (runs.length > 0 && !(await findOpenRun(client))) {
    await client.close();
    await closeBooks(stack, dataDir);
    stack = await stack.reopen();
    client = await connect(stack);
  }
  cleanUps.push(() => client.close());
  const books = openBooks(dataDir);
  const receivers = await startDemoReceivers(dataDir, books);
  cleanUps.push(() => receivers.stop());
  lines.say(`model: ${receivers.model}`);
  return { stack, receivers, books, client };
}

function connect({ temporalAddress, clientUrl }: Stack): Promise<PawlClient> {
  return PawlClient.connect({ temporalAddress, databaseUrl: clientUrl, requester: 'payouts-demo' });
}

async function runDemo(demo: Demo, cleanUps: (() => Promise<unknown>)[]): Promise<boolean> {
  const { client, stack } = demo;
  let worker = await startWorker(demo, 1);
  cleanUps.push(() => worker.stop());
  const runKey = await startOrResume(client);
  if (stack.uiUrl) lines.say(`Temporal's UI: ${runPage(stack.uiUrl, runKey)}`, 'cyan');
  const killing = killDuringPayment(demo, () => worker).then(async (killed) => {
    if (!killed) return;
    worker = await startWorker(demo, 2);
    lines.say(`worker 2 (pid ${worker.pid}) takes over`, 'green');
  });
  const answering = answerApproval(client, runKey, lines, { asks, signal: stopped.signal });
  const { result } = await client.result(runKey, { signal: stopped.signal });
  await Promise.all([killing, answering]);
  lines.say(
    `the run ended: ${result?.kind ?? 'unknown'} after ${result?.turns ?? 0} turns`,
    'bold',
  );
  return report(demo, runKey, result?.kind === 'completed');
}

async function startOrResume(client: PawlClient): Promise<string> {
  const open = await findOpenRun(client);
  if (open) {
    lines.say(`${open} was left unfinished: it goes on`, 'green');
    return open;
  }
  const file = join(packageRoot(), 'examples/payouts/invoices.csv');
  const { runKey } = await client.start('payouts', { file: relative(process.cwd(), file) });
  lines.say(`${runKey} started: a dozen invoices`, 'bold');
  return runKey;
}

function startWorker({ stack, receivers, books }: Demo, number: number): Promise<WorkerProcess> {
  return startWorkerProcess({
    file: join(packageRoot(), 'examples/payouts/worker.ts'),
    name: `worker-${number}`,
    dataDir,
    logFile: join(books.folder, `worker-${number}.log`),
    env: {
      ...receivers.env,
      TEMPORAL_ADDRESS: stack.temporalAddress,
      DATABASE_URL: stack.workerUrl,
      PAWL_MIGRATE: 'no',
      PAWL_EGRESS_PRIVATE: 'allow',
    },
  });
}

/** The bank has committed, the worker does not know yet: this is when it is killed. */
async function killDuringPayment(demo: Demo, workerNow: () => WorkerProcess): Promise<boolean> {
  const { bank } = demo.receivers;
  const isPaid = async (): Promise<boolean> =>
    (await bank.receipts()).some(({ reference }) => reference === INTERRUPTED);
  if (await isPaid()) return false;
  while (!stopped.signal.aborted) {
    if (await isPaid()) {
      const worker = workerNow();
      await worker.kill();
      lines.say(
        `the bank has paid ${INTERRUPTED}; worker 1 (pid ${worker.pid}) is killed with SIGKILL before it could record it`,
        'red',
      );
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

async function report(demo: Demo, runKey: string, isCompleted: boolean): Promise<boolean> {
  const { client, books, stack } = demo;
  const { calls, effects } = await client.show(runKey);
  const { receipts, requests } = readReceipts(books.bankLog);
  const refusals = new Map(
    calls
      .filter(({ effect, tool }) => tool === 'pay_invoice' && effect === null)
      .map(({ arguments: input, verdict, rule }) => [
        invoiceOf(input),
        verdict === 'forbid' ? `forbidden by ${rule}` : 'invalid arguments',
      ]),
  );
  const table = compare({ invoices: invoicesOf(), receipts, requests, effects, refusals });
  lines.print(`\n${renderTable(table)}\n`);
  lines.print(`The bank's own log: ${relative(process.cwd(), books.bankLog)}`);
  if (stack.uiUrl) lines.print(`The run:            ${runPage(stack.uiUrl, runKey)}`);
  const isRight = isCompleted && table.every(({ agrees }) => agrees);
  lines.say(
    isRight
      ? 'the bank and the ledger agree: each invoice at most once'
      : 'THE BANK AND THE LEDGER DISAGREE',
    isRight ? 'green' : 'red',
  );
  return isRight;
}

function invoicesOf(): string[] {
  const text = readFileSync(join(packageRoot(), 'examples/payouts/invoices.csv'), 'utf8');
  const rows = parse(text, { columns: true, trim: true }) as { invoice: string }[];
  return rows.map(({ invoice }) => invoice);
}

async function untilInterrupted(stack: Stack): Promise<void> {
  lines.print('\nThe stack stays up: try `npm run -s pawl -- show latest`. Ctrl-C ends it.');
  const interrupted = new Promise<void>((resolve) => {
    stopped.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const death = await Promise.race([interrupted, stack.servers.died]);
  if (death) throw new ServerError('not-serving', death.message);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopped.signal.aborted) process.exit(130);
    lines.say('stopping; an unfinished run goes on at the next `npm start`');
    stopped.abort();
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (stopped.signal.aborted) process.exitCode = 130;
  else {
    process.stderr.write(`${error instanceof ServerError ? error.message : errorText(error)}\n`);
    process.exitCode = 1;
  }
}
