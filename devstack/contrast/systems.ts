// The four systems of the comparison, in the order of its table.
import { join } from 'node:path';
import { packageRoot } from '../../activities/package-root.ts';
import { PawlClient } from '../../client/index.ts';
import { aiSdkSystem, whyNoAiSdk } from './ai-sdk.ts';
import { openQueueDoor } from './queue-door.ts';
import type { Servers, System, SystemName } from './system.ts';
import { createTemporalDoor } from './temporal-door.ts';
import type { Statement } from './verdict.ts';

/** What was asked for and does not run. */
export interface NotRun {
  readonly name: SystemName;
  /** The command after which it runs. */
  readonly install: string;
}

/** Of the named ones, which can run here, and which not. */
export function chooseSystems(
  names: readonly SystemName[],
  servers: Servers,
): { readonly systems: readonly System[]; readonly notRun: readonly NotRun[] } {
  const install = names.includes('ai-sdk') ? whyNoAiSdk() : undefined;
  const notRun: NotRun[] = install === undefined ? [] : [{ name: 'ai-sdk', install }];
  const canRun = names.filter((name) => !notRun.some((missing) => missing.name === name));
  return { systems: canRun.map((name) => createSystem(name, servers)), notRun };
}

function createSystem(name: SystemName, servers: Servers): System {
  const workerFile = join(packageRoot(), `examples/contrast/${name}/worker.ts`);
  switch (name) {
    case 'request-response':
      return {
        name,
        workerFile,
        hasResets: false,
        note: 'no workflow to reset (n/a): there the queue delivers the batch a second time',
        openDoor: openQueueDoor,
      };
    case 'plain':
      return plainSystem(workerFile, servers);
    case 'ai-sdk':
      return aiSdkSystem(servers, workerFile);
    case 'with-effect':
      return effectSystem(workerFile, servers);
  }
}

function plainSystem(workerFile: string, { client, temporalAddress }: Servers): System {
  const workerEnv = { TEMPORAL_ADDRESS: temporalAddress };
  const options = { name: 'plain', client, taskQueue: 'plain', workerEnv } as const;
  return {
    name: 'plain',
    workerFile,
    hasResets: true,
    openDoor: (site) => Promise.resolve(createTemporalDoor(options, site)),
  };
}

/** The environment of a worker with effects. */
export function toPawlEnv({ temporalAddress, databaseUrl }: Servers): Record<string, string> {
  return {
    TEMPORAL_ADDRESS: temporalAddress,
    DATABASE_URL: databaseUrl,
    PAWL_MIGRATE: 'no',
    PAWL_EGRESS_PRIVATE: 'allow',
  };
}

function effectSystem(workerFile: string, servers: Servers): System {
  const options = {
    name: 'with-effect',
    client: servers.client,
    taskQueue: 'pawl',
    workerEnv: toPawlEnv(servers),
    ownWords: () => readLedger(servers),
  } as const;
  return {
    name: 'with-effect',
    workerFile,
    hasResets: true,
    note: "Pawl: the workflow of plain with effect(); what it says of itself is its ledger's word",
    openDoor: (site) => Promise.resolve(createTemporalDoor(options, site)),
  };
}

async function readLedger({
  temporalAddress,
  databaseUrl,
}: Servers): Promise<Pick<Statement, 'paid' | 'doubts'>> {
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
