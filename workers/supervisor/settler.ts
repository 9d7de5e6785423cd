// The supervisor's connection to Temporal, open before it is needed: a worker that has died is settled in milliseconds.
import type { Client, Connection } from '@temporalio/client';
import type { ReadyWorker } from './messages.ts';
import type { Notify } from './notices.ts';

export interface Settler {
  /** Connects to where this worker is. */
  prepare(worker: ReadyWorker): void;
  /** Hands back what a worker held whose process has ended; calls `onFree` when the bulk of it is done. */
  settle(worker: ReadyWorker, onFree: () => void): void;
  /** What a dead worker held is being handed back. */
  isBusy(): boolean;
  /** Waits for what is being handed back. */
  close(): Promise<void>;
}

/** A third of a second that the first worker does not wait for: Temporal's client is loaded when that one is ready. */
const loadSettling = (): Promise<typeof import('./settle.ts')> => import('./settle.ts');

interface Site {
  readonly connection: Connection;
  readonly client: Client;
  readonly namespaceId: string;
}

/** What goes wrong is told, and left to Temporal's time-outs. */
export function createSettler(notify: Notify): Settler {
  const sites = new Map<string, Promise<Site>>();
  const settling = new Set<Promise<void>>();
  let busy = 0;

  function siteOf(worker: ReadyWorker): Promise<Site> {
    const name = `${worker.temporalAddress}/${worker.namespace}`;
    const site = sites.get(name) ?? openSite(worker);
    sites.set(name, site);
    // The next one who asks tries again.
    site.catch(() => sites.delete(name));
    return site;
  }

  async function settle(worker: ReadyWorker, onFree: () => void): Promise<void> {
    const startedAtMs = performance.now();
    const { client, namespaceId } = await siteOf(worker);
    const { settleDeadWorker } = await loadSettling();
    const settled = await settleDeadWorker(client, namespaceId, worker, onFree);
    const tookMs = performance.now() - startedAtMs;
    notify({ event: 'settled', identity: worker.identity, tookMs, ...settled });
  }

  return {
    prepare: (worker) => void Promise.all([siteOf(worker), loadSettling()]).catch(tell),
    settle(worker, onFree) {
      busy += 1;
      let isFree = false;
      const free = (): void => {
        if (isFree) return;
        isFree = true;
        busy -= 1;
        onFree();
      };
      const work = settle(worker, free)
        .catch(tell)
        .finally(() => {
          settling.delete(work);
          free();
        });
      settling.add(work);
    },
    isBusy: () => busy > 0,
    async close() {
      await Promise.all(settling);
      const opened = await Promise.allSettled(sites.values());
      for (const site of opened) {
        if (site.status === 'fulfilled') await site.value.connection.close();
      }
    },
  };

  function tell(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const message = `Temporal does not answer the supervisor (${why}): what a dead worker held waits for its time-outs`;
    notify({ event: 'problem', message });
  }
}

async function openSite({ temporalAddress, namespace }: ReadyWorker): Promise<Site> {
  const { Client, Connection } = await import('@temporalio/client');
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    const client = new Client({ connection, namespace });
    const { namespaceInfo } = await client.workflowService.describeNamespace({ namespace });
    return { connection, client, namespaceId: namespaceInfo?.id ?? '' };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
