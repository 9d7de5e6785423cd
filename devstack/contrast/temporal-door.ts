// The door of a system on Temporal: one workflow per batch, reset as an operator resets it.
import type { Client } from '@temporalio/client';
import type { Transfer } from '../../examples/contrast/invoice.ts';
import { type PlannedRun, toInput } from './plan.ts';
import { resetToStart } from './reset-workflow.ts';
import { type Door, noWords, type Site, type SystemName } from './system.ts';
import { waitUntil } from './wait-until.ts';

export interface TemporalDoorOptions {
  readonly name: SystemName;
  readonly client: Client;
  readonly taskQueue: string;
  readonly workerEnv: Readonly<Record<string, string>>;
  /** @default nothing besides what the workflows returned */
  readonly ownWords?: Door['ownWords'];
}

/** A workflow `payInvoices` on this task queue. */
export function createTemporalDoor(options: TemporalDoorOptions, site: Site): Door {
  const { name, client, taskQueue, workerEnv, ownWords = noWords } = options;
  const toWorkflowId = ({ batch }: PlannedRun): string => `${name}-${batch}`;
  return {
    workerEnv,
    ownWords,
    async start(run) {
      const workflowId = toWorkflowId(run);
      await client.workflow.start('payInvoices', { workflowId, taskQueue, args: [toInput(run)] });
    },
    startAgain: async (run) => void (await resetToStart(client, toWorkflowId(run))),
    result: (run) => awaitResult(client, toWorkflowId(run), site),
    close: () => Promise.resolve(),
  };
}

async function awaitResult(
  client: Client,
  workflowId: string,
  site: Site,
): Promise<readonly Transfer[] | undefined> {
  const handle = client.workflow.getHandle(workflowId);
  const isOver = async (): Promise<boolean> => (await handle.describe()).status.name !== 'RUNNING';
  if (!(await waitUntil(isOver, { ...site, everyMs: 250 }))) return undefined;
  return handle.result().then(
    (result) => result as Transfer[],
    () => undefined,
  );
}
