// What has become of a cell by now: the ledger's row, or for reads, which have none, the end of the workflow.
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Cell } from './cells.ts';
import type { Found } from './judge.ts';
import type { MatrixWorld } from './matrix-world.ts';
import type { Played } from './played.ts';
import type { End } from './predict.ts';

export async function lookAt(world: MatrixWorld, played: Played): Promise<Found> {
  return played.cell.contract === 'read' ? lookAtRead(world, played) : lookAtEffect(world, played);
}

interface Row {
  readonly status: string;
  readonly sends: number;
  readonly has_conflict: boolean;
  readonly output: { readonly transferId?: string } | null;
  readonly reason: string | null;
  readonly short_id: string;
}

/** A look-up that did not answer in time is a doubt only until the next look. */
const openOf = ({ contract }: Cell): readonly string[] =>
  contract === 'reconcilable' ? ['intended', 'dispatched', 'in_doubt'] : ['intended', 'dispatched'];

async function lookAtEffect({ rows }: MatrixWorld, played: Played): Promise<Found> {
  const [row] = await rows<Row>(
    `select status, sends, has_conflict, output, reason, short_id from pawl.effects where run_key = $1`,
    [played.runKey ?? ''],
  );
  const isOver = row !== undefined && !openOf(played.cell).includes(row.status);
  return {
    played,
    end: isOver ? (row.status as End) : undefined,
    status: row?.status ?? 'unknown to the ledger',
    hasConflict: row?.has_conflict ?? false,
    transferId: row?.output?.transferId,
    reason: row?.reason ?? undefined,
    effect: row?.short_id,
  };
}

/** A settled effect ends its workflow soon: where its worker died then, when another one has noticed and started. */
const WORKFLOW_MS = 90_000;

async function lookAtRead({ temporal }: MatrixWorld, played: Played): Promise<Found> {
  const handle = temporal.workflow.getHandle(played.runKey ?? '');
  const { status } = await handle.describe();
  const isOver = status.name !== 'RUNNING';
  const end = isOver ? await endOf(handle.result()) : undefined;
  return {
    played,
    end,
    status: status.name,
    hasConflict: false,
    transferId: undefined,
    reason: undefined,
    effect: undefined,
  };
}

async function endOf(result: Promise<unknown>): Promise<End> {
  try {
    await result;
    return 'applied';
  } catch (error) {
    const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
    const isRefused = cause instanceof ApplicationFailure && cause.type === 'Effect.Refused';
    return isRefused ? 'refused' : 'failed';
  }
}

/** How the workflow of a settled cell ended: with this output, or in words; undefined when it still runs. */
export async function workflowEnd(
  { temporal, pawl }: MatrixWorld,
  { cell, runKey = '' }: Played,
): Promise<{ readonly output?: unknown; readonly failure?: string } | undefined> {
  const late = sleep(WORKFLOW_MS, undefined, { ref: false });
  const ended =
    cell.point === 14
      ? pawl.result(runKey).then(({ result }) => ({ output: result?.kind }))
      : temporal.workflow
          .getHandle(runKey)
          .result()
          .then((output: unknown) => ({ output }))
          .catch((error: unknown) => ({ failure: causeOf(error) }));
  return Promise.race([ended, late]);
}

function causeOf(error: unknown): string {
  const cause = error instanceof WorkflowFailedError ? error.cause : error;
  return cause instanceof ApplicationFailure ? `${cause.type}: ${cause.message}` : String(cause);
}
