// A worker process that ends with this one, whatever ends this one.
import { identifyProcess } from '../servers/process-identity.ts';
import { guardServer } from '../servers/watchdog.ts';
import {
  startWorkerProcess,
  type WorkerProcess,
  type WorkerProcessOptions,
} from '../worker-process.ts';

/** As `startWorkerProcess`. A frozen process is killed too. */
export async function startGuardedWorker(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const worker = await startWorkerProcess(options);
  const identity = identifyProcess(worker.pid);
  if (identity) void worker.gone.then(guardServer({ identity, signal: 'SIGKILL' }));
  return worker;
}
