// The worker's end of the wire to its supervisor: it says when it could poll, and waits for the word.
import {
  type FromWorker,
  type ReadyWorker,
  SUPERVISED,
  type ToWorker,
} from './supervisor/messages.ts';

/** The supervisor of this process. */
export interface Supervisor {
  /** What the workers of one supervisor share. */
  readonly sharedFolder: string;
  /**
   * Says that this worker is ready, and resolves when it is to poll. Does not return when it is not needed. Calls `onSpare`
   * when it has to wait: what a first worker does not need to poll must not come in between.
   */
  untilToldToRun(worker: ReadyWorker, onSpare: () => void): Promise<void>;
  /** Says that it polls. */
  isPolling(): void;
}

/** Who is not told to run for so long is a spare. */
const SPARE_AFTER_MS = 200;

let found: Supervisor | undefined;

/** Undefined in a process that nobody supervises, such as one that a supervised worker started. */
export function findSupervisor(): Supervisor | undefined {
  const sharedFolder = process.env[SUPERVISED];
  if (sharedFolder === undefined || !process.send) return undefined;
  found ??= connect(sharedFolder);
  return found;
}

function connect(sharedFolder: string): Supervisor {
  let isTold = false;
  const told = new Promise<void>((resolve) => {
    process.on('message', ({ kind }: ToWorker) => {
      // It holds nothing, so there is nothing to end in order.
      if (kind === 'leave' && !isTold) process.exit(0);
      if (kind !== 'run') return;
      isTold = true;
      // From now on the worker keeps the process alive, and its end ends the process.
      process.channel?.unref();
      resolve();
    });
  });
  process.on('disconnect', () => {
    if (!isTold) process.exit(0);
    // A worker whose supervisor died stops in order: the next supervisor starts its own.
    process.kill(process.pid, 'SIGTERM');
  });
  const say = (message: FromWorker): void => {
    if (process.connected) process.send?.(message);
  };
  return {
    sharedFolder,
    untilToldToRun(worker, onSpare) {
      say({ kind: 'ready', worker });
      const waits = setTimeout(onSpare, SPARE_AFTER_MS);
      return told.finally(() => clearTimeout(waits));
    },
    isPolling: () => say({ kind: 'polling' }),
  };
}
