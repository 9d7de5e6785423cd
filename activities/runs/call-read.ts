// One call of a read: never ledgered, repeated up to the tool's own limit, the same for a run and a plain workflow.
import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { nextDelayMs } from '../../domain/rules/backoff.ts';
import { FailureType } from '../../domain/rules/failure.ts';
import { describeThrown } from '../../domain/rules/thrown.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import { systemClock, withDeadline } from '../clock.ts';
import { shortId } from '../effects/fingerprint.ts';
import { type Judged, judgeOutput } from '../effects/judge-output.ts';
import { noTransaction } from '../effects/tool-run.ts';
import { wireFor } from '../effects/wire.ts';
import { toErrorName } from '../error-facts.ts';
import { joinSignals } from '../join-signals.ts';
import type { RunDeps } from './run-deps.ts';

export interface ReadPlace {
  readonly tenant: string;
  readonly runKey: string;
  /** The id that an effect in this place would have. */
  readonly id: string;
}

/** Runs the read once, with its parsed input, and judges what it returns. */
export async function callRead(
  { wire }: Pick<RunDeps, 'wire'>,
  tool: AnyTool,
  { tenant, runKey, id }: ReadPlace,
  input: unknown,
  context: Context,
): Promise<Judged> {
  const effect = shortId('ef', id);
  const own = wireFor(wire, tool);
  const output: unknown = await withDeadline(systemClock, tool.timeoutMs, (late) =>
    tool.run(input, {
      fetch: own,
      read: own,
      transaction: noTransaction,
      idempotencyKey: effect,
      effect,
      runKey,
      tenant,
      signal: joinSignals(context.cancellationSignal, late),
    }),
  );
  return judgeOutput(tool, output);
}

/** What a read threw when it was cancelled: Temporal's encoder follows causes without end, and reads what may throw. */
export function cancelledRead(error: unknown): Error {
  const isCancel = error instanceof CancelledFailure || toErrorName(error) === 'AbortError';
  return isCancel ? (error as Error) : new Error(describeThrown(error));
}

/** A failed read that is tried again, after a delay of ours. */
export function retryRead(
  tool: AnyTool,
  attempt: number,
  error: unknown,
  random: number,
): ApplicationFailure {
  const delayMs = nextDelayMs({ attempt, baseMs: 250, capMs: 30_000, random });
  return ApplicationFailure.create({
    type: FailureType.ToolFailed,
    message: `${tool.name}: ${describeThrown(error)}`,
    nextRetryDelay: Math.max(1, delayMs),
  });
}
