// The door of the service without an engine: a queue that delivers each batch at least once, until it is acknowledged.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer } from '../../examples/contrast/invoice.ts';
import { findFreePort } from '../servers/ports.ts';
import { type PlannedRun, toInput } from './plan.ts';
import { type Door, noWords, type Site } from './system.ts';

const REDELIVERY_MS = 500;

interface Delivery {
  readonly result: Promise<readonly Transfer[] | undefined>;
  /** The queue takes the batch back: whoever works on it works for nobody. */
  readonly takeBack: () => void;
}

/** POSTs batches to the service; a broken connection or an error is delivered again. */
export async function openQueueDoor(site: Site): Promise<Door> {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}/batches`;
  const deliveries = new Map<string, Delivery>();
  const deliver = (run: PlannedRun): void => {
    deliveries.get(run.batch)?.takeBack();
    const takenBack = new AbortController();
    const signal = AbortSignal.any([takenBack.signal, site.signal]);
    const result = deliverUntilDone(url, run, { ...site, signal });
    deliveries.set(run.batch, { result, takeBack: () => takenBack.abort() });
  };
  return {
    workerEnv: { PORT: String(port) },
    start: (run) => Promise.resolve(deliver(run)),
    startAgain: (run) => Promise.resolve(deliver(run)),
    result: ({ batch }) => deliveries.get(batch)?.result ?? Promise.resolve(undefined),
    ownWords: noWords,
    close: () => Promise.resolve([...deliveries.values()].forEach(({ takeBack }) => takeBack())),
  };
}

async function deliverUntilDone(
  url: string,
  run: PlannedRun,
  { signal, patienceMs }: Site,
): Promise<readonly Transfer[] | undefined> {
  const deadlineMs = Date.now() + patienceMs;
  const body = JSON.stringify(toInput(run));
  while (!signal.aborted && Date.now() < deadlineMs) {
    const answer = await fetch(url, { method: 'POST', body, signal }).catch(() => undefined);
    const transfers = answer?.ok ? await readTransfers(answer) : undefined;
    if (transfers) return transfers;
    await sleep(REDELIVERY_MS);
  }
  return undefined;
}

/** The service may die while it answers: that is no acknowledgement. */
async function readTransfers(answer: Response): Promise<readonly Transfer[] | undefined> {
  return answer.json().then(
    (body) => body as Transfer[],
    () => undefined,
  );
}
