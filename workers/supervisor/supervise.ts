// Keeps so many workers polling and a warm spare beside them; when one has really ended, the spare runs and its work is handed back.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPacer, type Pacer } from './crash-loop.ts';
import { namesOf, type Notify } from './notices.ts';
import type { Settler } from './settler.ts';
import { type ChildEnd, startWorkerChild, type WorkerChild } from './worker-child.ts';

export interface SuperviseOptions {
  /** The user's worker module. */
  readonly file: string;
  readonly workers: number;
  /** Processes that are ready and wait; with 0 the next worker is started when one has died. */
  readonly spares: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly settler: Settler;
  readonly notify: Notify;
}

export interface Supervision {
  /** Resolves when all have ended after `stop`; rejects when the first worker ends before it is ready. */
  readonly ended: Promise<void>;
  /** In order: spares leave, workers finish what is on the wire. The second time: at once. */
  stop(): void;
}

/** The first worker never got so far as to poll: the module or its environment is wrong. */
export class WorkerNeverReady extends Error {
  constructor(file: string, how: string) {
    super(
      `The worker module ${file} ended before its worker was ready (${how}); what it printed is above. ` +
        'It must call createWorker() of pawl/workers and then run().',
    );
    this.name = 'WorkerNeverReady';
  }
}

/** Starts the first worker; the others and the spares follow when it polls. */
export async function superviseWorkers(options: SuperviseOptions): Promise<Supervision> {
  const sharedFolder = await mkdtemp(join(tmpdir(), 'pawl-worker-'));
  const crew = new Crew(options, sharedFolder);
  crew.fill();
  const ended = crew.ended.finally(() => rm(sharedFolder, { recursive: true, force: true }));
  return { ended, stop: () => crew.stop() };
}

class Crew {
  readonly ended: Promise<void>;
  readonly #options: SuperviseOptions;
  readonly #sharedFolder: string;
  readonly #pacer: Pacer;
  readonly #children = new Set<WorkerChild>();
  readonly #spares: WorkerChild[] = [];
  #hasPolled = false;
  #isStopping = false;
  #failure: Error | undefined;
  #resolveEmpty: () => void = () => undefined;

  constructor(options: SuperviseOptions, sharedFolder: string) {
    this.#options = options;
    this.#sharedFolder = sharedFolder;
    this.#pacer = createPacer(options.notify, () => this.fill());
    const empty = new Promise<void>((resolve) => (this.#resolveEmpty = resolve));
    this.ended = empty.then(() => this.#finish());
  }

  /** Brings the crew to its size, one start at a time: the first one makes the workflow bundle for all. */
  fill(): void {
    const { workers, spares, settler } = this.#options;
    if (this.#isStopping || this.#pacer.isPaused()) return;
    this.#promote();
    const isStarting = this.#children.size > this.#running() + this.#spares.length;
    if (isStarting || this.#children.size >= workers + spares) return;
    // What a dead worker held comes first: the start of a spare would take the processor from it.
    if (this.#running() >= workers && settler.isBusy()) return;
    this.#start();
  }

  #promote(): void {
    const isWanted = (): boolean => this.#running() < this.#options.workers;
    while (isWanted() && this.#spares.length > 0) this.#spares.shift()?.run();
  }

  /** In order; at once when it is called again. */
  stop(): void {
    const children = [...this.#children];
    if (this.#isStopping) return children.forEach((child) => child.kill());
    this.#isStopping = true;
    this.#pacer.cancel();
    const { length } = children;
    if (length > 0) this.#options.notify({ event: 'stopping', processes: length });
    for (const child of children) child.stop();
    this.#endWhenEmpty();
  }

  #running(): number {
    return [...this.#children].filter(isTold).length;
  }

  #start(): void {
    const { file, env, notify } = this.#options;
    const child = startWorkerChild({
      file,
      env,
      sharedFolder: this.#sharedFolder,
      onReady: (from) => this.#onReady(from),
      onPolling: (from) => this.#onPolling(from),
      onExit: (from, end) => this.#onExit(from, end),
    });
    this.#children.add(child);
    notify({ event: 'starting', pid: child.pid });
  }

  #onReady(child: WorkerChild): void {
    const { workers, settler, notify } = this.#options;
    const [worker, ...others] = child.workers;
    if (worker && others.length === 0) settler.prepare(worker);
    if (this.#isStopping) return child.stop();
    // A module may make several workers: they wait for one word.
    if (others.length > 0 || isTold(child)) return;
    this.#spares.push(child);
    if (this.#running() >= workers || this.#pacer.isPaused()) {
      const readyMs = performance.now() - child.startedAtMs;
      notify({ event: 'spare', pid: child.pid, readyMs });
    }
    this.fill();
  }

  #onPolling(child: WorkerChild): void {
    this.#hasPolled = true;
    const { pid, workers } = child;
    const nowMs = performance.now();
    this.#options.notify({
      event: 'polling',
      pid,
      ...namesOf(workers),
      afterStartMs: nowMs - child.startedAtMs,
      afterWordMs: nowMs - (child.toldAtMs ?? nowMs),
    });
    this.fill();
  }

  #onExit(child: WorkerChild, end: ChildEnd): void {
    const { file, settler, notify } = this.#options;
    const { pid, workers, toldAtMs } = child;
    this.#children.delete(child);
    const at = this.#spares.indexOf(child);
    if (at >= 0) this.#spares.splice(at, 1);
    if (this.#isStopping) return this.#endWhenEmpty();
    const how = howOf(end);
    notify({ event: 'died', pid, ...namesOf(workers), how, hadRun: isTold(child) });
    if (!this.#hasPolled && workers.length === 0) {
      this.#failure = new WorkerNeverReady(file, how);
      return this.stop();
    }
    // A spare that dies while it waits has done nothing that could have killed it.
    if (isTold(child) || workers.length === 0) this.#pacer.count(toldAtMs);
    if (this.#pacer.isPaused()) return;
    this.#promote();
    if (isTold(child)) {
      for (const worker of workers) settler.settle(worker, () => this.fill());
    }
    this.fill();
  }

  #endWhenEmpty(): void {
    if (this.#children.size === 0) this.#resolveEmpty();
  }

  async #finish(): Promise<void> {
    await this.#options.settler.close();
    if (this.#failure) throw this.#failure;
    this.#options.notify({ event: 'stopped' });
  }
}

function isTold({ toldAtMs }: WorkerChild): boolean {
  return toldAtMs !== undefined;
}

function howOf({ code, signal, error }: ChildEnd): string {
  if (error !== undefined) return error;
  if (signal !== null) return signal;
  return code === 0 ? 'it ended without being asked to' : `exit ${code}`;
}
