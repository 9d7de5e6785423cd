// Histories as files: binary protobuf, because JSON does not survive more than one copy of protobufjs.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

/** A workflow's history as Temporal hands it out. */
export type History = temporal.api.history.v1.IHistory;

export interface SaveHistoryOptions {
  /** One execution of a chain (continue-as-new). @default the latest */
  readonly runId?: string;
}

/**
 * Writes the history of a workflow to `file` (name it `.bin`) for `replayHistories`; returns the number of events. What
 * tells of the machine (host names, stack traces) is left out: a replay does not look at it.
 */
export async function saveHistory(
  client: Pick<Client, 'workflow'>,
  workflowId: string,
  file: string,
  { runId }: SaveHistoryOptions = {},
): Promise<number> {
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  // A CommonJS package: Node finds its names behind `default` only.
  const { temporal } = (await import('@temporalio/proto')).default;
  forgetMachine(history);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, temporal.api.history.v1.History.encode(history).finish());
  return history.events?.length ?? 0;
}

const OF_THE_MACHINE = new Set(['identity', 'stackTrace']);

function forgetMachine(message: object): void {
  for (const [name, value] of Object.entries(message) as [string, unknown][]) {
    if (typeof value === 'string' && OF_THE_MACHINE.has(name)) {
      Object.assign(message, { [name]: '' });
    } else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
      forgetMachine(value);
    }
  }
}
