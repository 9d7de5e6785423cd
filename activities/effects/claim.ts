// The claim that an activity's attempt brings: who it is, when Temporal scheduled it, how long it may work.
import type { Info } from '@temporalio/activity';
import type { LocalAttempt } from '../../domain/rules/effect-outcome.ts';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Claim } from '../ledger/effect-ledger.ts';

/** What the settlement needs after the send, taken off the activity's own time. */
const MARGIN_MS = 2_000;

/** Ordered by the scheduled time: Temporal's `attempt` starts again at 1 after an activity reset. */
export function claimOf(info: Info, tool: AnyTool, input: LocalAttempt = {}): Claim {
  const activityMs = Math.max(1_000, info.startToCloseTimeoutMs - MARGIN_MS);
  const attempt = attemptOf(info, input);
  return {
    // A local activity is scheduled by its worker, whose clock is its own.
    order: info.isLocal ? (input.askedAtMs ?? 0) : info.currentAttemptScheduledTimestampMs,
    by: `${info.isLocal ? 'local ' : ''}${info.activityId}.${attempt} in process ${process.pid}`,
    attempt,
    leaseMs: Math.min(tool.timeoutMs + 1_000, activityMs),
    triedForMs: info.isLocal
      ? 0
      : info.currentAttemptScheduledTimestampMs - info.scheduledTimestampMs,
  };
}

/** Which attempt this is, one as a local activity included. */
export function attemptOf(
  { attempt }: Pick<Info, 'attempt'>,
  { attemptsBefore = 0 }: LocalAttempt,
): number {
  return attempt + attemptsBefore;
}
