// Everything that runs beside the benchmark: servers, provider, bank, bundles, and how a contender's process is started.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { migrate } from '../../activities/ledger/migrate.ts';
import { startGuardedWorker } from '../../devstack/contrast/guarded-worker.ts';
import { type ReceiverProcess, spawnReceiver } from '../../devstack/receivers/index.ts';
import { findFreePort } from '../../devstack/servers/ports.ts';
import {
  ensureDatabase,
  withConnection,
  withDatabase,
} from '../../devstack/servers/postgres-url.ts';
import { identifyProcess } from '../../devstack/servers/process-identity.ts';
import { guardServer } from '../../devstack/servers/watchdog.ts';
import type { WorkerProcess } from '../../devstack/worker-process.ts';
import type { CleanUps } from '../../testing/clean-ups.ts';
import { bundleWorkflows } from '../../workers/workflow-bundle.ts';
import { type Contender, IN_POSTGRES, OF_PAWL, Variable } from './contenders.ts';
import { type BenchServers, type BenchTemporal, makeFolder, openBenchServers } from './servers.ts';
import { CREATE_TRANSCRIPT } from './transcript-table.ts';

export interface Site extends BenchServers {
  readonly folder: string;
  /** Where the provider notes the beginning of each turn. */
  readonly turnsFile: string;
  readonly bankLog: string;
  readonly receiverPids: readonly number[];
  /** The contender's process, with what it needs; `extra` goes on top of its environment. */
  startWorker(contender: Contender, extra?: Readonly<Record<string, string>>): Promise<Started>;
  temporalOf(contender: Contender): BenchTemporal | undefined;
  databaseUrlOf(contender: Contender): string | undefined;
}

/** A contender that takes runs. */
export interface Started {
  readonly worker: WorkerProcess;
  /** Where a floor takes its runs. */
  readonly url: string;
  readonly taskQueue: string;
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const WORKER_FILES: Readonly<Record<Contender, string>> = {
  loop: here('./worker-floor.ts'),
  commit: here('./worker-floor.ts'),
  bare: here('./worker-bare.ts'),
  shipped: here('./worker-shipped.ts'),
  pawl: here('./worker-pawl.ts'),
  local: here('./worker-pawl.ts'),
};

export async function openSite(cleanUps: CleanUps): Promise<Site> {
  const folder = makeFolder(cleanUps);
  const [servers, bundles] = await Promise.all([
    openBenchServers(folder, cleanUps),
    writeBundles(folder),
  ]);
  const { postgres } = servers;
  for (const contender of IN_POSTGRES) await prepareDatabase(postgres.url, contender);
  const turnsFile = join(folder, 'turns.log');
  const bankLog = join(folder, 'bank.jsonl');
  const provider = await startProvider(folder, turnsFile, cleanUps);
  const bank = await startBankProcess(bankLog, cleanUps);
  const databaseUrlOf = (contender: Contender): string | undefined =>
    IN_POSTGRES.includes(contender) ? withDatabase(postgres.url, `bench_${contender}`) : undefined;
  const temporalOf = (contender: Contender): BenchTemporal | undefined =>
    temporalFor(servers, contender);
  let started = 0;
  return {
    ...servers,
    folder,
    turnsFile,
    bankLog,
    receiverPids: [provider.worker.pid, bank.pid],
    databaseUrlOf,
    temporalOf,
    async startWorker(contender, extra = {}) {
      started += 1;
      const port = await findFreePort();
      const taskQueue = `bench-${contender}`;
      const worker = await startGuardedWorker({
        file: WORKER_FILES[contender],
        name: `${contender}-${started}`,
        dataDir: folder,
        logFile: join(folder, `${contender}.log`),
        env: {
          [Variable.Provider]: provider.url,
          [Variable.Bank]: bank.url,
          [Variable.Port]: String(port),
          [Variable.TaskQueue]: taskQueue,
          [Variable.Bundle]: bundles[contender],
          [Variable.LocalTool]: contender === 'local' ? 'yes' : 'no',
          TEMPORAL_ADDRESS: temporalOf(contender)?.address ?? '',
          DATABASE_URL: databaseUrlOf(contender) ?? '',
          ANTHROPIC_API_KEY: 'bench',
          ANTHROPIC_BASE_URL: provider.url,
          PAWL_MIGRATE: 'no',
          PAWL_EGRESS_PRIVATE: 'allow',
          ...extra,
        },
      });
      cleanUps.add(() => worker.kill());
      return { worker, url: `http://127.0.0.1:${port}`, taskQueue };
    },
  };
}

function temporalFor(
  { tuned, shipped }: BenchServers,
  contender: Contender,
): BenchTemporal | undefined {
  switch (contender) {
    case 'bare':
    case 'pawl':
    case 'local':
      return tuned;
    case 'shipped':
      return shipped;
    case 'loop':
    case 'commit':
      return undefined;
  }
}

/** As a production image has them: a worker's start is not what is measured. */
async function writeBundles(folder: string): Promise<Readonly<Record<Contender, string>>> {
  const logger = new DefaultLogger('WARN');
  const bare = await bundleWorkflowCode({ workflowsPath: here('./workflows.ts'), logger });
  const pawl = await bundleWorkflows(undefined, { logger });
  const [bareFile, pawlFile] = [join(folder, 'bare.bundle.js'), join(folder, 'pawl.bundle.js')];
  await writeFile(bareFile, bare.code);
  await writeFile(pawlFile, pawl.code);
  return {
    ...{ loop: '', commit: '', bare: bareFile, shipped: bareFile },
    ...{ pawl: pawlFile, local: pawlFile },
  };
}

async function prepareDatabase(serverUrl: string, contender: Contender): Promise<void> {
  const name = `bench_${contender}`;
  await ensureDatabase(serverUrl, name);
  const url = withDatabase(serverUrl, name);
  await withConnection(url, async (client) => {
    await client.query('create schema if not exists bench');
    if (!OF_PAWL.includes(contender)) await client.query(CREATE_TRANSCRIPT);
  });
  if (OF_PAWL.includes(contender)) await migrate(url);
}

async function startProvider(
  folder: string,
  turnsFile: string,
  cleanUps: CleanUps,
): Promise<{ worker: WorkerProcess; url: string }> {
  const port = await findFreePort();
  const worker = await startGuardedWorker({
    file: here('./provider.ts'),
    name: 'provider',
    dataDir: folder,
    logFile: join(folder, 'provider.log'),
    env: { [Variable.Port]: String(port), [Variable.Turns]: turnsFile },
  });
  cleanUps.add(() => worker.kill());
  return { worker, url: `http://127.0.0.1:${port}` };
}

async function startBankProcess(logFile: string, cleanUps: CleanUps): Promise<ReceiverProcess> {
  const bank = await spawnReceiver({ kind: 'bank', logFile });
  const identity = identifyProcess(bank.pid);
  const dismiss = identity ? guardServer({ identity, signal: 'SIGKILL' }) : () => undefined;
  cleanUps.add(async () => {
    await bank.stop();
    dismiss();
  });
  return bank;
}
