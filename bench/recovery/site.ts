// The place of the recovery benchmark: real servers, receivers in this process whose logs are the clock and the judge.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PawlClient } from '../../client/index.ts';
import {
  type Bank,
  type ModelProvider,
  startBank,
  startModelProvider,
} from '../../devstack/receivers/index.ts';
import { type CleanUps, withCleanUps } from '../../testing/clean-ups.ts';
import { createFreshDatabase } from '../../testing/fresh-database.ts';
import { findTestServers } from '../../testing/test-servers.ts';
import { bundleWorkflows, writeBundle } from '../../workers/workflow-bundle.ts';
import { BANK_MS, payingScript } from './agents.ts';

export interface Site {
  readonly folder: string;
  readonly bank: Bank;
  readonly provider: ModelProvider;
  readonly client: PawlClient;
  /** What a worker process is told. */
  readonly env: Readonly<Record<string, string>>;
}

/** Runs `body` at a task queue of its own; the servers are those that `findTestServers` finds. */
export function withSite<T>(taskQueue: string, body: (site: Site) => Promise<T>): Promise<T> {
  return withCleanUps(async (cleanUps) => body(await openSite(taskQueue, cleanUps)));
}

async function openSite(taskQueue: string, cleanUps: CleanUps): Promise<Site> {
  const servers = await findTestServers();
  const folder = await mkdtemp(join(tmpdir(), 'pawl-recovery-'));
  cleanUps.add(() => rm(folder, { recursive: true, force: true }));
  const databaseUrl = await createFreshDatabase(servers.databaseUrl, cleanUps);
  const bank = await startBank({ logFile: join(folder, 'bank.jsonl') });
  cleanUps.add(() => bank.close());
  bank.setMode('*', 'slow', { delayMs: BANK_MS });
  const provider = await startModelProvider({ script: payingScript });
  cleanUps.add(() => provider.close());
  const { temporalAddress } = servers;
  const client = await PawlClient.connect({ temporalAddress, databaseUrl, taskQueue });
  cleanUps.add(() => client.close());
  const bundle = join(folder, 'workflows.bundle.js');
  await writeBundle(await bundleWorkflows(), bundle);
  const env = {
    TEMPORAL_ADDRESS: temporalAddress,
    DATABASE_URL: databaseUrl,
    PAWL_TASK_QUEUE: taskQueue,
    PAWL_MIGRATE: 'no',
    PAWL_EGRESS_PRIVATE: 'allow',
    PAWL_WORKFLOW_BUNDLE: bundle,
    BANK_URL: bank.url,
    ANTHROPIC_API_KEY: 'local-provider',
    ANTHROPIC_BASE_URL: provider.url,
  };
  return { folder, bank, provider, client, env };
}
