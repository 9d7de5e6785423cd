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

/** Writes the history of a workflow to `file` (name it `.bin`) for `replayHistories`; returns the number of events. */
export async function saveHistory(
  client: Pick<Client, 'workflow'>,
  workflowId: string,
  file: string,
  { runId }: SaveHistoryOptions = {},
): Promise<number> {
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const { temporal } = await import('@temporalio/proto');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, temporal.api.history.v1.History.encode(history).finish());
  return history.events?.length ?? 0;
}
