// `npm run contrast`: the same workflow on a plain worker and with effect(), under the same faults; the banks' logs decide.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { packageRoot } from '../../activities/package-root.ts';
import { PawlClient } from '../../client/index.ts';
import { createLines } from '../demo/console-lines.ts';
import { startPostgres } from '../servers/postgres-server.ts';
import { ensureDatabase, withDatabase } from '../servers/postgres-url.ts';
import { errorText } from '../servers/server-error.ts';
import { startTemporal } from '../servers/temporal-server.ts';
import { migrate } from '../../activities/ledger/migrate.ts';
import { makePlan } from './plan.ts';
import { type Compared, findChanges, render, whatIsWrong } from './report.ts';
import { runSystem, type RunSystemOptions, type System } from './run-system.ts';
import { judge, type Statement } from './verdict.ts';

const USAGE = `npm run contrast -- [--seed <n>] [--runs <n>] [--json] [--keep]
  --seed   what happens to which payment follows from it; default 1
  --runs   workflows per system; default 12
  --json   the result as one JSON object on standard output; progress goes to standard error
  --keep   leaves the banks' receipts logs and the workers' logs where they are, and says where
Ends with 1 when the plain worker pays nothing twice (the test has no teeth) or effect() anything wrong.`;
const INVOICES_PER_RUN = 5;

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '12' },
    json: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const lines = createLines();
const stopped = new AbortController();
const cleanUps: (() => Promise<unknown> | void)[] = [];

const say = (text: string): void => {
  if (options.json) process.stderr.write(`${text}\n`);
  else lines.say(text);
};

async function main(): Promise<number> {
  if (options.help) {
    lines.print(USAGE);
    return 0;
  }
  const plan = makePlan({
    seed: toCount('--seed', options.seed),
    runs: toCount('--runs', options.runs),
    invoicesPerRun: INVOICES_PER_RUN,
  });
  const folder = mkdtempSync(join(tmpdir(), 'pawl-contrast-'));
  if (!options.keep) cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  const { client, systems } = await openServers();
  const compared: Compared[] = [];
  for (const system of systems) {
    say(`${system.name}: ${plan.runs.length} workflows of ${INVOICES_PER_RUN} payments`);
    const stage: RunSystemOptions = { client, folder, say, signal: stopped.signal };
    const run = await runSystem(system, plan, stage);
    stopped.signal.throwIfAborted();
    const { kills, resets, seconds } = run;
    const verdict = judge(plan, run.receipts, run.statement);
    compared.push({ name: system.name, ...verdict, kills, resets, seconds });
    say(`${system.name}: done in ${seconds} s, ${verdict.duplicates} duplicates`);
  }
  const changes = findChanges(join(packageRoot(), 'examples/contrast'));
  const problem = whatIsWrong(compared, changes);
  if (options.json) {
    const result = { v: 1, seed: plan.seed, systems: compared, changes, problem: problem ?? null };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  } else {
    lines.print(`\n${render(compared, changes)}\n`);
    lines.say(problem ?? 'every payment with effect() was made once', problem ? 'red' : 'green');
  }
  if (options.keep) say(`the logs are in ${folder}`);
  return problem === undefined ? 0 : 1;
}

function toCount(name: string, text: string): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count >= 1) return count;
  throw new UsageError(`${name} ${text}: give a whole number from 1.`);
}

class UsageError extends Error {}

async function openServers(): Promise<{ client: Client; systems: readonly System[] }> {
  // Servers of its own: what it does to them is nothing for anybody's data.
  const env = { ...process.env, TEMPORAL_ADDRESS: undefined, DATABASE_URL: undefined };
  const { signal } = stopped;
  const onProgress = ({ message }: { message: string }): void => say(message);
  const temporal = await startTemporal({ ephemeral: true, env, onProgress, signal });
  cleanUps.push(() => temporal.stop());
  const postgres = await startPostgres({ ephemeral: true, env, onProgress });
  cleanUps.push(() => postgres.stop());
  const databaseUrl = withDatabase(postgres.url, 'contrast');
  await ensureDatabase(postgres.url, 'contrast');
  await migrate(databaseUrl);
  const connection = await Connection.connect({ address: temporal.address });
  cleanUps.push(() => connection.close());
  return {
    client: new Client({ connection }),
    systems: [plainSystem(temporal.address), effectSystem(temporal.address, databaseUrl)],
  };
}

function workerFile(name: System['name']): string {
  return join(packageRoot(), `examples/contrast/${name}/worker.ts`);
}

function plainSystem(temporalAddress: string): System {
  return {
    name: 'plain',
    taskQueue: 'plain',
    workerFile: workerFile('plain'),
    workerEnv: { TEMPORAL_ADDRESS: temporalAddress },
    // A plain worker knows what its workflows returned.
    ownWords: () => Promise.resolve({ paid: new Map(), doubts: new Set() }),
  };
}

function effectSystem(temporalAddress: string, databaseUrl: string): System {
  return {
    name: 'with-effect',
    taskQueue: 'pawl',
    workerFile: workerFile('with-effect'),
    workerEnv: {
      TEMPORAL_ADDRESS: temporalAddress,
      DATABASE_URL: databaseUrl,
      PAWL_MIGRATE: 'no',
      PAWL_EGRESS_PRIVATE: 'allow',
    },
    ownWords: () => readLedger(temporalAddress, databaseUrl),
  };
}

async function readLedger(
  temporalAddress: string,
  databaseUrl: string,
): Promise<Pick<Statement, 'paid' | 'doubts'>> {
  const pawl = await PawlClient.connect({ temporalAddress, databaseUrl });
  try {
    const applied = await pawl.effects({ status: 'applied', limit: 100_000 });
    const doubts = await pawl.doubts();
    const paid = applied.map(({ arguments: input, output }): [string, string] => [
      referenceOf(input),
      String((output as { transferId?: unknown } | null)?.transferId),
    ]);
    return {
      paid: new Map(paid),
      doubts: new Set(doubts.map(({ arguments: input }) => referenceOf(input))),
    };
  } finally {
    await pawl.close();
  }
}

function referenceOf(input: unknown): string {
  return String((input as { reference?: unknown } | null)?.reference);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopped.signal.aborted) process.exit(130);
    say('stopping');
    stopped.abort();
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = stopped.signal.aborted ? 130 : 1;
  if (error instanceof UsageError) process.stderr.write(`${error.message}\n${USAGE}\n`);
  else if (!stopped.signal.aborted) process.stderr.write(`${errorText(error)}\n`);
} finally {
  for (const cleanUp of cleanUps.reverse()) await Promise.resolve(cleanUp()).catch(() => undefined);
}
