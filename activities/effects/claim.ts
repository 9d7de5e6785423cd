// The claim that an activity's attempt brings: who it is, when Temporal scheduled it, how long it may work.
import type { Info } from '@temporalio/activity';
import type { AnyTool } from '../../domain/schemas/define-tool.ts';
import type { Claim } from '../ledger/effect-ledger.ts';

/** What the settlement needs after the send, taken off the activity's own time. */
const MARGIN_MS = 2_000;

/** Ordered by the scheduled time: Temporal's `attempt` starts again at 1 after an activity reset. */
export function claimOf(info: Info, tool: AnyTool): Claim {
  const activityMs = Math.max(1_000, info.startToCloseTimeoutMs - MARGIN_MS);
  return {
    order: info.currentAttemptScheduledTimestampMs,
    by: `${info.activityId}.${info.attempt} in process ${process.pid}`,
    attempt: info.attempt,
    leaseMs: Math.min(tool.timeoutMs + 1_000, activityMs),
  };
}
