// How runs are handed to a contender and awaited; what this costs is the benchmark's, not the contender's.
import type { Client } from '@temporalio/client';
import { toErrorCode } from '../../activities/error-facts.ts';
import { PawlClient } from '../../client/pawl-client.ts';
import type { CleanUps } from '../../testing/clean-ups.ts';
import type { History } from '../../testing/save-history.ts';
import { connectClient } from '../connect.ts';
import { type Contender, type Job, OF_PAWL } from './contenders.ts';
import type { Site, Started } from './site.ts';

export interface Door {
  /** Resolves with the run's workflow id (its own name without Temporal) when it is over. Throws unless it has completed. */
  run(job: Job): Promise<string>;
  /** Undefined without Temporal. */
  history(workflowId: string): Promise<History | undefined>;
}

export async function openDoor(
  contender: Contender,
  site: Site,
  started: Started,
  cleanUps: CleanUps,
): Promise<Door> {
  const address = site.temporalOf(contender)?.address;
  if (address === undefined) return openFloorDoor(started);
  const client = await connectClient(address, cleanUps);
  const history = (workflowId: string): Promise<History> =>
    client.workflow.getHandle(workflowId).fetchHistory();
  const { taskQueue } = started;
  if (!OF_PAWL.includes(contender)) {
    const type = contender === 'shipped' ? 'shippedRun' : 'bareRun';
    return { history, run: (job) => runWorkflow(client, type, taskQueue, job) };
  }
  const databaseUrl = site.databaseUrlOf(contender);
  const pawl = await PawlClient.connect({ temporalAddress: address, databaseUrl, taskQueue });
  cleanUps.add(() => pawl.close());
  return { history, run: (job) => runAgent(pawl, client, job) };
}

function openFloorDoor({ url }: Started): Door {
  return {
    history: () => Promise.resolve(undefined),
    async run(job) {
      const answer = await fetch(url, { method: 'POST', body: JSON.stringify(job) }).catch(
        (cause: unknown) => {
          const message = `${job.run}: ${url} did not answer (${toErrorCode(cause)})`;
          throw new Error(message, { cause });
        },
      );
      if (!answer.ok) throw new Error(`${job.run} failed: ${await answer.text()}`);
      checkTurns(job, ((await answer.json()) as { turns: number }).turns);
      return job.run;
    },
  };
}

async function runWorkflow(
  client: Client,
  type: string,
  taskQueue: string,
  job: Job,
): Promise<string> {
  const options = { workflowId: job.run, taskQueue, args: [job] };
  checkTurns(job, (await client.workflow.execute(type, options)) as number);
  return job.run;
}

/** Awaited by Temporal, which answers at once: PawlClient looks now and then. */
async function runAgent(pawl: PawlClient, client: Client, job: Job): Promise<string> {
  const { runKey } = await pawl.start('payer', job);
  const result = (await client.workflow.getHandle(runKey).result()) as { kind: string };
  if (result.kind !== 'completed') throw new Error(`${job.run} (${runKey}) is ${result.kind}`);
  return runKey;
}

function checkTurns({ run, turns }: Job, done: number): void {
  if (done !== turns) throw new Error(`${run} ended after ${done} turns of ${turns}`);
}
