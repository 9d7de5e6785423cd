// Measures one long run on real servers whose worker is a process that is killed at random turns.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { PawlClient } from '../../client/index.ts';
import { type Bank, startBank, startModelProvider } from '../../devstack/receivers/index.ts';
import { runtimeArguments } from '../../devstack/runtime-arguments.ts';
import { type CleanUps, withCleanUps } from '../../testing/clean-ups.ts';
import { createFreshDatabase } from '../../testing/fresh-database.ts';
import { findTestServers } from '../../testing/test-servers.ts';
import { until } from '../../testing/until.ts';
import { bundleWorkflows, writeBundle } from '../../workers/workflow-bundle.ts';
import { longScript } from './agents.ts';
import { type Band, bandsOf, chainTurns, fetchChain, growthOf } from './chain.ts';

export interface LongOptions {
  readonly turns: number;
  readonly resultBytes: number;
  /** How often the worker is killed, at turns that `seed` chooses. */
  readonly kills: number;
  readonly seed: number;
  /** `long` is shown everything, `compacting` a summary of what lies back. */
  readonly agent: 'long' | 'compacting';
  /** @default the one that `findTestServers` finds */
  readonly temporalAddress?: string;
  readonly onProgress?: (message: string) => void;
}

export interface LongReport {
  readonly turns: number;
  readonly seconds: number;
  readonly executions: number;
  readonly kills: number;
  readonly transcriptEntries: number;
  readonly transcriptBytes: number;
  readonly bands: readonly Band[];
  /** Largest over smallest turn from the tenth on, less 1. */
  readonly eventsGrowth: number;
  readonly bytesGrowth: number;
  readonly violations: readonly string[];
}

const GROWTH_MAX = 0.1;

export function measureLong(options: LongOptions): Promise<LongReport> {
  return withCleanUps((cleanUps) => measure(options, cleanUps));
}

async function measure(options: LongOptions, cleanUps: CleanUps): Promise<LongReport> {
  const site = await openSite(options, cleanUps);
  const { client, bank, temporal } = site;
  const { turns, agent } = options;
  const worker = startWorker(site.env, join(site.folder, 'worker.log'));
  cleanUps.add(() => worker.stop());
  await worker.untilReady();
  const startedAtMs = performance.now();
  const { runKey } = await client.start(agent, { turns });
  for (const turn of killTurns(options)) {
    await untilTurn(bank, turn);
    await worker.kill();
    options.onProgress?.(`killed at turn ${bank.receipts().length}`);
  }
  await untilTurn(bank, turns);
  const { result } = await client.result(runKey);
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const chain = await fetchChain(temporal, runKey);
  const transcript = await countTranscript(client, runKey);
  const measured = chainTurns(chain);
  const growth = {
    eventsGrowth: growthOf(measured, ({ events }) => events),
    bytesGrowth: growthOf(measured, ({ bytes }) => bytes),
  };
  return {
    turns,
    seconds,
    executions: chain.length,
    kills: options.kills,
    ...transcript,
    bands: bandsOf(measured, 10),
    ...growth,
    violations: [
      ...(result?.kind === 'completed'
        ? []
        : [`the run ended ${result?.kind ?? 'without a result'}`]),
      ...receiptViolations(bank, turns),
      ...(growth.eventsGrowth > GROWTH_MAX ? ['the events of a turn grow'] : []),
      ...(growth.bytesGrowth > GROWTH_MAX ? ['the bytes of a turn grow'] : []),
    ],
  };
}

/** Each reference once, none missing. */
function receiptViolations(bank: Bank, turns: number): readonly string[] {
  const references = bank.receipts().map(({ reference }) => reference);
  const twice = references.length - new Set(references).size;
  return [
    ...(twice > 0 ? [`${twice} transfers were made twice`] : []),
    ...(new Set(references).size === turns
      ? []
      : [`${new Set(references).size} transfers, not ${turns}`]),
  ];
}

interface Site {
  readonly folder: string;
  readonly bank: Bank;
  readonly client: PawlClient;
  readonly temporal: Client;
  readonly env: Readonly<Record<string, string>>;
}

async function openSite(options: LongOptions, cleanUps: CleanUps): Promise<Site> {
  const servers = await findTestServers();
  const folder = await mkdtemp(join(tmpdir(), 'pawl-long-'));
  cleanUps.add(() => rm(folder, { recursive: true, force: true }));
  const databaseUrl = await createFreshDatabase(servers.databaseUrl, cleanUps);
  const bank = await startBank({ logFile: join(folder, 'bank.jsonl') });
  cleanUps.add(() => bank.close());
  const provider = await startModelProvider({
    script: longScript(options.turns),
    remembers: false,
  });
  cleanUps.add(() => provider.close());
  const temporalAddress = options.temporalAddress ?? servers.temporalAddress;
  const taskQueue = `long-${options.seed}-${Date.now()}`;
  const client = await PawlClient.connect({ temporalAddress, databaseUrl, taskQueue });
  cleanUps.add(() => client.close());
  const connection = await Connection.connect({ address: temporalAddress });
  cleanUps.add(() => connection.close());
  const bundle = join(folder, 'workflows.bundle.js');
  await writeBundle(
    await bundleWorkflows(undefined, { logger: new DefaultLogger('WARN') }),
    bundle,
  );
  const env = {
    TEMPORAL_ADDRESS: temporalAddress,
    DATABASE_URL: databaseUrl,
    PAWL_TASK_QUEUE: taskQueue,
    PAWL_MIGRATE: 'no',
    PAWL_EGRESS_PRIVATE: 'allow',
    PAWL_WORKFLOW_BUNDLE: bundle,
    BANK_URL: bank.url,
    LONG_RESULT_BYTES: String(options.resultBytes),
    ANTHROPIC_API_KEY: 'local-provider',
    ANTHROPIC_BASE_URL: provider.url,
  };
  return { folder, bank, client, temporal: new Client({ connection }), env };
}

interface WorkerProcess {
  untilReady(): Promise<void>;
  /** SIGKILL, and the next one is started. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

function startWorker(env: Readonly<Record<string, string>>, logFile: string): WorkerProcess {
  const file = new URL('./worker.ts', import.meta.url).pathname;
  const log = createWriteStream(logFile, { flags: 'a' });
  let isReady = false;
  const start = (): ChildProcess => {
    isReady = false;
    const child = spawn(process.execPath, [...runtimeArguments(file), file], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', () => (isReady = true));
    child.stderr.pipe(log, { end: false });
    return child;
  };
  let child = start();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const gone = once(child, 'exit');
    if (child.kill(signal)) await gone;
  };
  const untilReady = async (): Promise<void> => {
    await until(() => isReady, { what: `a worker (see ${logFile})`, timeoutMs: 120_000 });
  };
  return {
    untilReady,
    async kill() {
      await end('SIGKILL');
      child = start();
      await untilReady();
    },
    stop: () => end('SIGKILL'),
  };
}

async function untilTurn(bank: Bank, turn: number): Promise<void> {
  let seen = -1;
  while (bank.receipts().length < turn) {
    if (bank.receipts().length === seen) {
      throw new Error(`the run has stood still at turn ${seen} for ten minutes`);
    }
    seen = bank.receipts().length;
    await until(() => bank.receipts().length > seen, { timeoutMs: 600_000, what: 'the next turn' });
  }
}

/** Turns at which the worker is killed, in order; the same for the same seed. */
export function killTurns({
  turns,
  kills,
  seed,
}: Pick<LongOptions, 'turns' | 'kills' | 'seed'>): readonly number[] {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: kills }, () => 1 + Math.floor(random() * (turns - 1))).sort(
    (a, b) => a - b,
  );
}

async function countTranscript(
  client: PawlClient,
  runKey: string,
): Promise<Pick<LongReport, 'transcriptEntries' | 'transcriptBytes'>> {
  let [entries, bytes] = [0, 0];
  for await (const { parts } of client.transcript(runKey)) {
    entries += 1;
    bytes += JSON.stringify(parts).length;
  }
  return { transcriptEntries: entries, transcriptBytes: bytes };
}
