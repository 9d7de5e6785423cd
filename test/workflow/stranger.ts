// A stranger in the tests: knows Temporal's address, the task queue and every name and id, and nothing of the ledger.
import { join } from 'node:path';
import { WorkflowFailedError } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import type { TestRun } from 'pawl/testing';
import { ulid } from 'ulid';

/** What a stranger can do, whoever's task queue it is. */
export interface Stranger {
  /** Has one activity run, as a workflow with this id would; the failure's type, or the value. */
  ask(type: string, input: unknown, workflowId?: string): Promise<unknown>;
  /** Starts one of Pawl's own workflows with any argument; returns its id. */
  start(type: string, input: unknown, workflowId?: string): Promise<string>;
}

let bundle: ReturnType<typeof bundleWorkflowCode> | undefined;

/** The stranger's own worker works on a task queue of its own while `body` runs. */
export async function withStranger<T>(
  t: TestRun,
  body: (stranger: Stranger) => Promise<T>,
): Promise<T> {
  const { taskQueue } = t;
  const own = `stranger-${ulid()}`;
  bundle ??= bundleWorkflowCode({
    workflowsPath: join(import.meta.dirname, 'fixtures/stranger-workflows.ts'),
    logger: new DefaultLogger('ERROR'),
  });
  const connection = await NativeConnection.connect({ address: t.temporalAddress });
  const worker = await Worker.create({
    connection,
    taskQueue: own,
    workflowBundle: await bundle,
  });
  const stranger: Stranger = {
    async ask(type, input, workflowId = `evil-${ulid()}`) {
      const started = t.temporal.workflow.execute('askFor', {
        ...{ taskQueue: own, workflowId, workflowIdReusePolicy: 'ALLOW_DUPLICATE' },
        args: [{ taskQueue, type, input }],
      });
      return started.catch(typeOf);
    },
    async start(type, input, workflowId = `evil-${ulid()}`) {
      await t.temporal.workflow.start(type, { taskQueue, workflowId, args: [input] });
      return workflowId;
    },
  };
  try {
    return await worker.runUntil(body(stranger));
  } finally {
    await connection.close();
  }
}

/** The failure's own type, behind those of activity and workflow. */
function typeOf(error: unknown): string {
  if (!(error instanceof WorkflowFailedError)) throw error;
  let cause: Error = error;
  while (cause.cause instanceof Error) cause = cause.cause;
  return 'type' in cause ? String(cause.type) : cause.name;
}
