// A worker in the test's own process that can be stopped and started again, on a workflow bundle that is built once.
import type { CreateWorkerOptions, PawlWorker } from '../workers/create-worker.ts';

export interface TestWorker {
  start(): Promise<void>;
  /** Resolves when nothing of it runs any more; a worker that died by itself throws its error here. */
  stop(): Promise<void>;
}

export type WorkflowBundle = NonNullable<CreateWorkerOptions['workflowBundle']>;

const bundles = new Map<string, Promise<WorkflowBundle>>();

/** Bundles a workflow module (Pawl's own when none is named) once per process. */
export async function bundleOnce(workflowsPath?: string): Promise<WorkflowBundle> {
  const { bundleWorkflows, defaultWorkflowsPath } = await import('../workers/workflow-bundle.ts');
  const { DefaultLogger } = await import('@temporalio/worker');
  const path = workflowsPath ?? defaultWorkflowsPath();
  const bundle = bundles.get(path) ?? bundleWorkflows(path, { logger: new DefaultLogger('WARN') });
  bundles.set(path, bundle);
  return bundle;
}

/** A stopped worker. */
export function createTestWorker(options: CreateWorkerOptions): TestWorker {
  let live: { worker: PawlWorker; running: Promise<void> } | undefined;
  return {
    async start() {
      if (live) throw new Error('The worker of this test runs already');
      // Loaded when first needed: a process that only serves receivers does without Temporal's native code.
      const { createWorker } = await import('../workers/create-worker.ts');
      const { workflowsPath, ...rest } = options;
      const workflowBundle = await bundleOnce(workflowsPath);
      const worker = await createWorker({ ...rest, workflowBundle });
      const running = worker.run();
      // Nobody listens before stop() does.
      running.catch(() => undefined);
      live = { worker, running };
    },
    async stop() {
      if (!live) return;
      const { worker, running } = live;
      live = undefined;
      try {
        worker.shutdown();
      } catch {
        // It runs no more: what ended it comes from `running`.
      }
      await running;
    },
  };
}
